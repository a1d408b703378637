package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"mmc/driver"
	"mmc/passes"
	"mmc/targets"
)

const (
	hostOS   = runtime.GOOS
	hostArch = runtime.GOARCH
)

// modelFlags are common to the commands that read a model.
type modelFlags struct {
	Target     string            `help:"GOOS/GOARCH, with +cuda for an NVIDIA GPU too, or purego; this machine by default." placeholder:"OS/ARCH"`
	Isa        string            `help:"Kernels for one instruction set only (avx512, avx2, neon, purego); by default several, picked at start."`
	Dim        map[string]string `help:"Bind a named axis to a size; may repeat." placeholder:"NAME=N"`
	Apart      []string          `help:"Axes of this name may differ from input to input, where INPUT.NAME is each one's name; may repeat." placeholder:"NAME"`
	Fix        map[string]string `help:"Make the program for these contents of a small input: numbers, .npy or .pb; may repeat." placeholder:"NAME=VALUE"`
	Dtype      string            `help:"Operands of products: f32 or, on a GPU, bf16, f16 or tf32." default:"f32" enum:"f32,bf16,f16,tf32"`
	Threads    int               `help:"Worker threads of a run; 0 for as many as there are cores."`
	TrustLinks bool              `help:"Allow external data behind symbolic and hard links."`
	Disable    []string          `help:"Passes to leave out." placeholder:"PASS"`
	Verify     bool              `help:"Verify the graph after every pass."`
	JSON       bool              `help:"One JSON document on stdout."`
	Quiet      bool              `help:"Results only."`
	NoColor    bool              `help:"Accepted; nothing is colored."`
}

func (f *modelFlags) options() (driver.Options, error) {
	c, err := targetFor(f.Target, f.Isa, f.Dtype)
	o := driver.Options{TrustLinks: f.TrustLinks, Verify: f.Verify, Disable: map[string]bool{}, Dims: map[string]int64{}, Apart: map[string]bool{},
		GOOS: c.goos, GOARCH: c.goarch, Targets: c.kernels, Accelerator: c.accelerator}
	for _, p := range f.Disable {
		if err := knownPass("disable", p); err != nil {
			return o, err
		}
		o.Disable[p] = true
	}
	o.Fix = f.Fix
	for _, name := range f.Apart {
		o.Apart[name] = true
	}
	if err != nil {
		return o, err
	}
	for name, s := range f.Dim {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 1 {
			return o, fmt.Errorf("%w: --dim %s=%s: want a number from 1", errUsage, name, s)
		}
		o.Dims[name] = n
	}
	return o, nil
}

// knownPass refuses a flag that names no pass.
func knownPass(flag, name string) error {
	if slices.Contains(passes.Names(), name) {
		return nil
	}
	return fmt.Errorf("%w: --%s %s: there is no such pass; there are %s", errUsage, flag, name, strings.Join(passes.Names(), ", "))
}

func (f *modelFlags) say(format string, args ...any) {
	if !f.Quiet {
		fmt.Fprintf(os.Stderr, format, args...)
	}
}

type buildCmd struct {
	Model string `arg:"" help:"The model, or a folder that holds model.onnx."`
	Out   string `short:"o" required:"" help:"The binary to write."`
	modelFlags
}

func (c *buildCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	m, err := driver.Compile(c.Model, o)
	if err != nil {
		return err
	}
	if err := m.Build(c.Out); err != nil {
		return err
	}
	c.say("%s: %d kernel calls, %d bytes of weights\n", c.Out, len(m.Plan.Calls), m.Plan.WeightBytes())
	return nil
}

type emitCmd struct {
	Model    string `arg:"" help:"The model, or a folder that holds model.onnx."`
	Out      string `short:"o" required:"" help:"The folder of the module; empty, or an earlier one of ours."`
	Testdata string `help:"Folder of test_data_set_* to carry along for the module's own tests." placeholder:"DIR"`
	modelFlags
}

func (c *emitCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	o.TestData = c.Testdata
	m, err := driver.Compile(c.Model, o)
	if err != nil {
		return err
	}
	return m.Emit(c.Out)
}

type runCmd struct {
	Model  string            `arg:"" help:"The model, or a folder that holds model.onnx."`
	Inputs map[string]string `short:"i" name:"input" help:"An input tensor, .npy or .pb; may repeat." placeholder:"NAME=FILE"`
	Out    string            `short:"o" help:"Folder for the outputs as .npy."`
	modelFlags
}

func (c *runCmd) Run() error {
	args := c.programFlags("run")
	for name, file := range c.Inputs {
		args = append(args, "-i", name+"="+file)
	}
	if c.Out != "" {
		args = append(args, "-o", c.Out)
	}
	return c.passOn(c.Model, args)
}

// programFlags are the flags that a compiled program takes too.
func (f *modelFlags) programFlags(cmd string) []string {
	args := []string{cmd, "--threads", strconv.Itoa(f.Threads), "--isa", f.Isa}
	if f.JSON {
		args = append(args, "--json")
	}
	return args
}

// passOn compiles the model, cached, and runs the program with the arguments.
func (f *modelFlags) passOn(model string, args []string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	m, err := driver.Compile(model, o)
	if err != nil {
		return err
	}
	return execCached(m, args)
}

func execCached(m *driver.Compiled, args []string) error {
	bin, err := m.Cached()
	if err != nil {
		return err
	}
	return driver.Exec(bin, args)
}

type testCmd struct {
	Dirs []string `arg:"" help:"Folders that hold model.onnx and test_data_set_*."`
	Eval bool     `help:"Use the reference evaluator in place of compiled code."`
	Atol float64  `help:"Absolute tolerance; by default 1e-5, or 1e-2 for 16 bits." default:"-1"`
	Rtol float64  `help:"Relative tolerance; by default 1e-4, or 1e-2 for 16 bits." default:"-1"`
	modelFlags
}

func (c *testCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	return driver.Test(os.Stdout, c.Dirs, driver.TestOptions{Options: o, Eval: c.Eval, ATol: c.Atol, RTol: c.Rtol, JSON: c.JSON, ISA: c.Isa, Threads: c.Threads})
}

type benchCmd struct {
	Model   string            `arg:"" help:"The model, or a folder that holds model.onnx."`
	Inputs  map[string]string `short:"i" name:"input" help:"An input tensor; others are random." placeholder:"NAME=FILE"`
	Kernels bool              `help:"List the steps' times."`
	Warmup  int               `help:"Runs before measuring." default:"3"`
	Runs    int               `help:"Runs measured." default:"20"`
	modelFlags
}

func (c *benchCmd) Run() error {
	args := append(c.programFlags("bench"), "--warmup", strconv.Itoa(c.Warmup), "--runs", strconv.Itoa(c.Runs))
	if c.Kernels {
		args = append(args, "--kernels")
	}
	for name, file := range c.Inputs {
		args = append(args, "-i", name+"="+file)
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	m, err := driver.CompileOpen(c.Model, o)
	if err != nil {
		return err
	}
	for name, n := range c.Dim {
		if !m.Bound(name) {
			args = append(args, "--dim", name+"="+n)
		}
	}
	return execCached(m, args)
}

type generateCmd struct {
	Model       string            `arg:"" help:"The model, or a folder that holds model.onnx: a decoder."`
	Tokens      []string          `required:"" sep:"none" help:"A prompt as token numbers; may repeat." placeholder:"N,N,…"`
	Inputs      map[string]string `short:"i" name:"input" help:"An input that stays the same, such as an encoder's states." placeholder:"NAME=FILE"`
	Max         int               `help:"The most tokens to generate." default:"64"`
	Batch       bool              `help:"Generate from all prompts in one batch."`
	Stop        string            `help:"Tokens that end a generation." placeholder:"N,N,…"`
	Temperature float64           `help:"0 takes the most likely token."`
	TopK        int               `help:"Choose among so many tokens; 0 for all."`
	TopP        float64           `help:"Choose among the likeliest tokens of this share; 0 for all."`
	Seed        uint64            `help:"Of the choices."`
	modelFlags
}

func (c *generateCmd) Run() error {
	args := append(c.programFlags("generate"), "--max", strconv.Itoa(c.Max), "--stop", c.Stop, "--temperature", fmt.Sprint(c.Temperature),
		"--top-k", strconv.Itoa(c.TopK), "--top-p", fmt.Sprint(c.TopP), "--seed", fmt.Sprint(c.Seed))
	if c.Batch {
		args = append(args, "--batch")
	}
	for _, t := range c.Tokens {
		args = append(args, "--tokens", t)
	}
	for name, file := range c.Inputs {
		args = append(args, "-i", name+"="+file)
	}
	return c.passOn(c.Model, args)
}

type explainCmd struct {
	Model string `arg:"" help:"The model, or a folder that holds model.onnx."`
	Out   string `short:"o" help:"Write a page instead, with the graph before and after." placeholder:"FILE.html"`
	modelFlags
}

func (c *explainCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if c.Out != "" {
		return driver.Report(c.Out, c.Model, o)
	}
	return driver.Explain(os.Stdout, c.Model, o, c.JSON)
}

type optCmd struct {
	Model string `arg:"" help:"The model, or a folder that holds model.onnx."`
	After string `help:"Stop after this pass." placeholder:"PASS"`
	modelFlags
}

func (c *optCmd) Run() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if c.After != "" {
		if err := knownPass("after", c.After); err != nil {
			return err
		}
	}
	o.After = c.After
	m, err := driver.Load(c.Model, o)
	if err != nil {
		return err
	}
	_, err = fmt.Print(m.Graph)
	return err
}

type opsCmd struct {
	JSON bool `help:"One JSON document on stdout."`
}

func (c *opsCmd) Run() error {
	return driver.Ops(os.Stdout, c.JSON, targets.Names())
}
