package rt

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Exit codes of a compiled program, the same as mmc's.
const (
	ExitOK           = 0
	ExitInternal     = 1
	ExitMismatch     = 2
	ExitRejected     = 3
	ExitUnsupported  = 4
	ExitNotAvailable = 5
	ExitUsage        = 80
)

// cli is one invocation of a compiled program.
type cli struct {
	p       *Program
	isa     string
	threads int
	json    bool
	quiet   bool
	dims    pairs
	inputs  pairs
	out     string
	atol    float64
	rtol    float64
	warmup  int
	runs    int
	kernels bool
	gen     generation
	args    []string
}

// pairs is a flag NAME=VALUE that may repeat.
type pairs [][2]string

func (p *pairs) String() string { return "" }

func (p *pairs) Set(s string) error {
	name, val, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want NAME=VALUE")
	}
	*p = append(*p, [2]string{name, val})
	return nil
}

var commands = map[string]struct {
	help string
	run  func(*cli) error
}{
	"run":      {"run once: -i NAME=FILE for every input, -o DIR writes every output as .npy", (*cli).run},
	"test":     {"compare with data sets: DIR… hold test_data_set_*/{input,output}_N.pb", (*cli).test},
	"bench":    {"measure: --dim NAME=N sets the sizes of random inputs, --kernels lists the steps", (*cli).bench},
	"generate": {"generate tokens: --tokens N,N,… is the prompt, streamed to stdout as numbers", (*cli).generate},
	"info":     {"inputs, outputs, sizes and instruction sets", (*cli).info},
}

const usage = `usage: %[1]s run|test|bench|generate|info [flags]
  %[1]s run -i x=x.npy -o out        run once, outputs as .npy
  %[1]s test test_data_set_0         compare with expected outputs
  %[1]s bench --dim batch=1 --json   measure with random inputs
  %[1]s generate --tokens 5,7 --max 9  generate with a decoder
  %[1]s info                         what this program is
`

// Main is a compiled program's command line; it returns the exit code.
func Main(p *Program, args []string) int {
	c := &cli{p: p}
	if len(args) == 0 {
		code := exitCode(c.info())
		fmt.Fprintf(os.Stderr, usage, name())
		return code
	}
	cmd, ok := commands[args[0]]
	if !ok {
		if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
			fmt.Printf(usage, name())
			return ExitOK
		}
		fmt.Fprintf(os.Stderr, "%s: unknown command %q\n"+usage, name(), args[0], name())
		return ExitUsage
	}
	fs := c.flags(args[0], cmd.help)
	if err := parseMixed(fs, args[1:], &c.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return ExitOK
		}
		return ExitUsage
	}
	return exitCode(cmd.run(c))
}

func name() string { return filepath.Base(os.Args[0]) }

func (c *cli) flags(cmd, help string) *flag.FlagSet {
	fs := flag.NewFlagSet(cmd, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(os.Stderr, "%s %s: %s\n", name(), cmd, help)
		fs.PrintDefaults()
	}
	threads, _ := strconv.Atoi(os.Getenv("MMC_THREADS"))
	fs.StringVar(&c.isa, "isa", os.Getenv("MMC_ISA"), "instruction set: cuda, avx512, avx2, neon, purego; the best there is by default")
	fs.IntVar(&c.threads, "threads", threads, "worker threads; as many as there are cores by default")
	fs.BoolVar(&c.json, "json", false, "print one JSON document")
	fs.BoolVar(&c.quiet, "quiet", false, "print results only")
	fs.Bool("no-color", false, "accepted; this program prints no colors")
	fs.Var(&c.dims, "dim", "NAME=N: a size for random inputs; may repeat")
	fs.Var(&c.inputs, "i", "NAME=FILE: an input as .npy or .pb; may repeat")
	fs.StringVar(&c.out, "o", "", "folder for the outputs")
	atol, rtol := c.p.Tolerances()
	fs.Float64Var(&c.atol, "atol", atol, "absolute tolerance")
	fs.Float64Var(&c.rtol, "rtol", rtol, "relative tolerance")
	fs.IntVar(&c.warmup, "warmup", 3, "runs before measuring")
	fs.IntVar(&c.runs, "runs", 20, "runs measured")
	fs.BoolVar(&c.kernels, "kernels", false, "list the steps' times")
	if cmd == "generate" {
		c.gen.flags(fs)
	}
	return fs
}

// parseMixed parses flags before and after positional arguments.
func parseMixed(fs *flag.FlagSet, args []string, rest *[]string) error {
	for {
		if err := fs.Parse(args); err != nil {
			return err
		}
		if fs.NArg() == 0 {
			return nil
		}
		*rest = append(*rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// usageError is a wrong command line; mismatch a comparison that failed.
type usageError struct{ error }

var errMismatch = errors.New("results differ from the reference")

func exitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	var na *NotAvailable
	var nd *NoDevice
	var in *InputError
	var us usageError
	if !errors.Is(err, errMismatch) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name(), err)
	}
	switch {
	case errors.Is(err, errMismatch):
		return ExitMismatch
	case errors.As(err, &na), errors.As(err, &nd):
		return ExitNotAvailable
	case errors.As(err, &in), errors.As(err, &us):
		return ExitUsage
	}
	return ExitInternal
}

func (c *cli) model() (*Model, error) {
	return NewModel(c.p, Options{ISA: c.isa, Threads: c.threads})
}

func (c *cli) print(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (c *cli) run() error {
	ins, err := c.readInputs()
	if err != nil {
		return err
	}
	m, err := c.model()
	if err != nil {
		return err
	}
	defer m.Close()
	outs, err := m.RunValues(ins)
	if err != nil {
		return err
	}
	type output struct {
		Name   string `json:"name"`
		Elem   string `json:"elem"`
		Shape  []int  `json:"shape"`
		SHA256 string `json:"sha256"`
		File   string `json:"file,omitempty"`
	}
	var list []output
	for i, v := range outs {
		o := output{v.Name, v.Elem.String(), v.Shape, Digest(v), ""}
		if c.out != "" {
			if err := os.MkdirAll(c.out, 0o755); err != nil {
				return err
			}
			o.File = filepath.Join(c.out, fmt.Sprintf("output_%d.npy", i))
			if err := WriteNpy(o.File, v); err != nil {
				return err
			}
		}
		list = append(list, o)
		if !c.json {
			fmt.Printf("%-24q %s%v sha256 %s %s\n", o.Name, o.Elem, o.Shape, o.SHA256, o.File)
		}
	}
	if c.json {
		return c.print(map[string]any{"schema": 1, "isa": m.ISA(), "threads": m.Threads(), "outputs": list})
	}
	return nil
}

func (c *cli) readInputs() ([]*Value, error) {
	ins := make([]*Value, len(c.p.Inputs))
	for _, kv := range c.inputs {
		i, v, err := c.readInput(kv)
		if err != nil {
			return nil, err
		}
		ins[i] = v
	}
	for i, v := range ins {
		if v == nil && c.p.Inputs[i].Fixed == "" {
			return nil, &InputError{fmt.Sprintf("input %q is not given (-i NAME=FILE)", c.p.Inputs[i].Name)}
		}
	}
	return ins, nil
}

// readInput reads the file of one flag -i NAME=FILE.
func (c *cli) readInput(kv [2]string) (int, *Value, error) {
	i := c.inputIndex(kv[0])
	if i < 0 {
		return 0, nil, &InputError{fmt.Sprintf("there is no input %q; the inputs are %s", kv[0], c.inputNames())}
	}
	v, err := ReadFile(kv[1])
	if err != nil {
		return 0, nil, usageError{err}
	}
	return i, v, nil
}

func (c *cli) inputIndex(name string) int {
	for i, p := range c.p.Inputs {
		if p.Name == name {
			return i
		}
	}
	return -1
}

func (c *cli) inputNames() string {
	var names []string
	for _, p := range c.p.Inputs {
		names = append(names, strconv.Quote(p.Name))
	}
	return strings.Join(names, ", ")
}

func (c *cli) test() error {
	if len(c.args) == 0 {
		return usageError{errors.New("test wants folders that hold test_data_set_*")}
	}
	m, err := c.model()
	if err != nil {
		return err
	}
	defer m.Close()
	results, err := m.TestDirs(c.args, c.atol, c.rtol)
	if err != nil {
		return usageError{err}
	}
	if c.json {
		err = c.print(map[string]any{"schema": 1, "results": results})
	} else {
		PrintResults(os.Stdout, results)
	}
	for _, r := range results {
		if !r.Pass {
			return errMismatch
		}
	}
	return err
}

// TestDirs runs every data set of the folders.
func (m *Model) TestDirs(dirs []string, atol, rtol float64) ([]SetResult, error) {
	var results []SetResult
	for _, dir := range dirs {
		sets, err := DataSets(dir)
		if err != nil {
			return nil, err
		}
		for _, set := range sets {
			results = append(results, m.RunSet(set, atol, rtol))
		}
	}
	return results, nil
}

// PrintResults prints a line for every output of every data set.
func PrintResults(w io.Writer, results []SetResult) {
	for _, r := range results {
		if r.Error != "" {
			fmt.Fprintf(w, "FAIL %s %s: %s\n", r.Model, r.Set, r.Error)
		}
		madeFor := ""
		if len(r.Fixed) > 0 {
			madeFor = "(made for this " + strings.Join(r.Fixed, ", ") + ") "
		}
		for _, o := range r.Outputs {
			word := "ok  "
			if !o.Pass {
				word = "FAIL"
			}
			fmt.Fprintf(w, "%s %s %s %s/%d %q max_abs %.2g max_rel %.2g sha256 %.16s… %s%s\n", word, r.Model, r.Set, r.ISA, r.Threads, o.Name, o.MaxAbs, o.MaxRel, o.SHA256, madeFor, o.Why)
		}
	}
}

func (c *cli) info() error {
	type port struct {
		Name  string   `json:"name"`
		Elem  string   `json:"elem"`
		Shape []string `json:"shape"`
	}
	ports := func(ps []Port) (out []port) {
		for _, p := range ps {
			out = append(out, port{p.Name, p.Elem.String(), c.axes(p)})
		}
		return out
	}
	var isas []string
	for _, f := range c.p.Flavours {
		if f.Has == nil || f.Has() {
			isas = append(isas, f.Kernels.ISA)
		}
	}
	ins, outs := ports(c.p.Inputs), ports(c.p.Outputs)
	if c.json {
		return c.print(map[string]any{"schema": 1, "digest": c.p.Digest, "dtype": c.p.dtype(), "inputs": ins, "outputs": outs,
			"dims": c.p.Symbols, "isas": isas, "weight_bytes": len(c.p.Weights)})
	}
	for _, g := range []struct {
		word string
		ps   []port
	}{{"input", ins}, {"output", outs}} {
		for _, p := range g.ps {
			fmt.Printf("%-7s %-24q %s[%s]\n", g.word, p.Name, p.Elem, strings.Join(p.Shape, ", "))
		}
	}
	fmt.Printf("dims    %s\nruns on %s (this machine)\nweights %d bytes, dtype %s\nmodel   sha256 %s\n", strings.Join(c.p.Symbols, ", "), strings.Join(isas, ", "), len(c.p.Weights), c.p.dtype(), c.p.Digest)
	return nil
}

func (c *cli) axes(p Port) []string {
	var out []string
	for _, a := range p.Axes {
		switch {
		case a.Size != nil:
			out = append(out, "computed")
		case a.Sym >= 0:
			out = append(out, c.p.Symbols[a.Sym])
		default:
			out = append(out, strconv.Itoa(a.Const))
		}
	}
	return out
}
