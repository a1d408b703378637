package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"mmc/frontend/onnx"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime"
)

// ErrMismatch says that a result differs from its reference.
var ErrMismatch = errors.New("results differ from the reference")

// TestOptions of Test.
type TestOptions struct {
	Options
	Eval       bool
	ATol, RTol float64 // negative: the program's own
	JSON       bool
	ISA        string
	Threads    int
}

// batch is the most models of one go build, batchBytes the most bytes of their weights.
const (
	batch      = 40
	batchBytes = maxEmbedded / 2
)

// Test compiles the models of the folders, many in one build, runs their data sets and prints the results. A model that cannot
// be read or built is a result with an error.
func Test(w io.Writer, dirs []string, o TestOptions) error {
	t := &tester{o: o, most: batchBytes}
	for _, dir := range dirs {
		t.add(dir)
	}
	t.flush()
	if t.unbuilt != nil && t.built == 0 {
		return t.unbuilt
	}
	results := slices.Concat(t.results...)
	if o.JSON {
		if err := json.NewEncoder(w).Encode(map[string]any{"schema": 1, "results": results}); err != nil {
			return err
		}
	} else {
		rt.PrintResults(w, results)
		passed := 0
		for _, r := range results {
			if r.Pass {
				passed++
			}
		}
		fmt.Fprintf(w, "%d of %d data sets pass\n", passed, len(results))
	}
	for _, r := range results {
		if !r.Pass {
			return ErrMismatch
		}
	}
	return nil
}

// tester collects programs until there are enough for one build. Results are those of each program, in order.
type tester struct {
	o       TestOptions
	results [][]rt.SetResult
	next    []pending
	bytes   int64
	most    int64 // bytes of weights in one build, if several programs are in it
	built   int
	unbuilt error
}

// pending is a program that is to be run, and the place of its results.
type pending struct {
	variant
	place int
}

func (t *tester) add(dir string) {
	vs, err := variants(dir, t.o.Options)
	if err != nil {
		t.results = append(t.results, []rt.SetResult{{Model: filepath.Base(dir), Error: err.Error()}})
		return
	}
	for _, v := range vs {
		if t.o.Eval {
			t.results = append(t.results, evalSets(v, t.o))
			continue
		}
		size := v.c.Plan.WeightBytes()
		if len(t.next) == batch || t.bytes+size > t.most {
			t.flush()
		}
		t.next, t.bytes = append(t.next, pending{v, len(t.results)}), t.bytes+size
		t.results = append(t.results, nil)
	}
}

// flush builds and runs what has been collected.
func (t *tester) flush() {
	if len(t.next) > 0 {
		t.run(t.next)
	}
	t.next, t.bytes = nil, 0
}

// run builds the programs together or, if that fails, each half by itself, so that one that does not build is known.
func (t *tester) run(list []pending) {
	var programs []*Compiled
	for _, p := range list {
		programs = append(programs, p.c)
	}
	s, err := BuildSuite(programs, "", "")
	switch {
	case err != nil && len(list) > 1:
		t.run(list[:len(list)/2])
		t.run(list[len(list)/2:])
		return
	case err != nil:
		t.unbuilt = err
		t.results[list[0].place] = []rt.SetResult{{Model: modelName(list[0].sets), Error: err.Error()}}
		return
	}
	defer s.Close()
	t.built += len(list)
	for i, p := range list {
		part, err := s.test(i, p.sets, t.o)
		if err != nil {
			part = []rt.SetResult{{Model: modelName(p.sets), Error: err.Error()}}
		}
		for k := range part {
			part[k].Fixed = append(part[k].Fixed, p.sizes...)
		}
		t.results[p.place] = part
	}
}

// modelName is the folder of a model of which these are the data sets, or the model's own folder.
func modelName(sets []string) string {
	if strings.HasPrefix(filepath.Base(sets[0]), "test_data_set") {
		return filepath.Base(filepath.Dir(sets[0]))
	}
	return filepath.Base(sets[0])
}

// CompileFor is Compile for a folder with data sets: inputs whose contents operators have to know are fixed to those of the first set,
// and so are sizes that they have to know. Axes of one name whose sizes differ in a set are taken apart.
func CompileFor(dir string, o Options) (*Compiled, error) {
	c, _, err := compileFor(dir, o)
	return c, err
}

// open is what a program has to be made for.
type open struct {
	inputs []string
	sizes  []onnx.Size
}

// compileFor is CompileFor; it also gives what the program was made for.
func compileFor(dir string, o Options) (*Compiled, open, error) {
	var made open
	for {
		c, err := Compile(dir, o)
		sets, _ := rt.DataSets(dir)
		if err == nil && o.takeApart(c.Graph, sets) {
			continue
		}
		var uns *onnx.Unsupported
		if !errors.As(err, &uns) {
			return c, made, err
		}
		more := open{append(slices.Clone(made.inputs), uns.Inputs...), append(slices.Clone(made.sizes), uns.Sizes...)}
		if len(sets) == 0 || !o.take(sets[0], more) {
			return c, made, err
		}
		made = more
	}
}

// takeApart adds the names of axes that have two sizes in a data set; it reports whether it found a new one.
func (o *Options) takeApart(g *ir.Graph, sets []string) bool {
	if !sharesAxes(g) {
		return false
	}
	before := len(o.Apart)
	for _, set := range sets {
		size := map[sym.Dim]int64{}
		for i, v := range g.Inputs {
			t, _, err := onnx.ReadTensor(filepath.Join(set, fmt.Sprintf("input_%d.pb", i)))
			if err != nil || len(t.Shape) != len(v.Shape) {
				continue
			}
			for a, d := range v.Shape {
				was, known := size[d]
				size[d] = t.Shape[a]
				if hint := g.Hints[d.String()]; known && was != t.Shape[a] && hint != "" {
					o.Apart = with(o.Apart, hint, true)
				}
			}
		}
	}
	return len(o.Apart) > before
}

// sharesAxes reports whether axes of two inputs have one name.
func sharesAxes(g *ir.Graph) bool {
	seen := map[sym.Dim]bool{}
	for _, v := range g.Inputs {
		for _, d := range v.Shape {
			if seen[d] && g.Hints[d.String()] != "" {
				return true
			}
			seen[d] = true
		}
	}
	return false
}

// with is a copy of m that holds one more.
func with[V any](m map[string]V, key string, v V) map[string]V {
	if m = maps.Clone(m); m == nil {
		m = map[string]V{}
	}
	m[key] = v
	return m
}

// take fixes inputs and sizes to what a data set holds; it reports whether it found a new one.
func (o *Options) take(set string, made open) bool {
	files, _ := filepath.Glob(filepath.Join(set, "input_*.pb"))
	before := len(o.Fixed) + len(o.Dims)
	for _, f := range files {
		t, name, err := onnx.ReadTensor(f)
		if err != nil {
			continue
		}
		if slices.Contains(made.inputs, name) {
			o.Fixed = with(o.Fixed, name, t)
		}
		for _, z := range made.sizes {
			if z.Input == name && z.Axis < len(t.Shape) {
				o.Dims = with(o.Dims, z.Name, t.Shape[z.Axis])
			}
		}
	}
	return len(o.Fixed)+len(o.Dims) > before
}

// variant is a program and the data sets it is for: all of a folder's, or those that agree in what it was made for.
type variant struct {
	c     *Compiled
	sets  []string
	sizes []string // that it was made for, as NAME=N
}

// variants compiles a folder's model, once for every contents and sizes that its data sets have where they must be fixed.
func variants(dir string, o Options) ([]variant, error) {
	c, made, err := compileFor(dir, o)
	if err != nil {
		return nil, err
	}
	if len(made.inputs)+len(made.sizes) == 0 {
		return []variant{{c, []string{dir}, nil}}, nil
	}
	sets, err := rt.DataSets(dir)
	if err != nil {
		return nil, err
	}
	var out []variant
	known := map[string]int{}
	for k, set := range sets {
		own := o
		own.Apart = c.o.Apart
		own.take(set, made)
		v := variant{c, []string{set}, nil}
		for _, z := range made.sizes {
			v.sizes = append(v.sizes, fmt.Sprintf("%s=%d", z.Name, own.Dims[z.Name]))
		}
		key := contents(own.Fixed) + strings.Join(v.sizes, ";")
		if i, ok := known[key]; ok {
			out[i].sets = append(out[i].sets, set)
			continue
		}
		known[key] = len(out)
		if k > 0 {
			if v.c, err = Compile(dir, own); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// contents is a text that two sets of tensors share if they are equal.
func contents(fixed map[string]*ir.Tensor) string {
	var lines []string
	for name, t := range fixed {
		lines = append(lines, fmt.Sprintf("%q %v %x", name, t, t.Data))
	}
	slices.Sort(lines)
	return strings.Join(lines, ";")
}

func (s *Suite) test(i int, dirs []string, o TestOptions) ([]rt.SetResult, error) {
	args := []string{fmt.Sprint(i), "test", "--json", "--isa", o.ISA, "--threads", fmt.Sprint(o.Threads)}
	if o.ATol >= 0 {
		args = append(args, "--atol", fmt.Sprint(o.ATol))
	}
	if o.RTol >= 0 {
		args = append(args, "--rtol", fmt.Sprint(o.RTol))
	}
	args = append(args, dirs...)
	cmd := exec.Command(s.Binary, args...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	runErr := cmd.Run()
	var doc struct{ Results []rt.SetResult }
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		return nil, fmt.Errorf("%v: %s", runErr, bytes.TrimSpace(msg.Bytes()))
	}
	return doc.Results, nil
}

// Exit is a compiled program's exit code that is not 0; the program has said why.
type Exit struct{ Code int }

func (e *Exit) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Exec runs a compiled program with our streams.
func Exec(bin string, args []string) error {
	cmd := exec.Command(bin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &Exit{exit.ExitCode()}
	}
	return err
}

func evalSets(v variant, o TestOptions) []rt.SetResult {
	c, dir := v.c, v.sets[0]
	sets := v.sets
	if len(sets) == 1 {
		list, err := rt.DataSets(dir)
		if err != nil {
			return []rt.SetResult{{Model: filepath.Base(dir), Error: err.Error()}}
		}
		sets = list
	}
	var results []rt.SetResult
	for _, set := range sets {
		r := rt.SetResult{Model: filepath.Base(filepath.Dir(set)), Set: filepath.Base(set), Target: "eval", ISA: "eval", Threads: 1, Pass: true}
		if err := evalSet(c.Graph, set, o, &r); err != nil {
			r.Pass, r.Error = false, err.Error()
		}
		results = append(results, r)
	}
	return results
}

func evalSet(g *ir.Graph, set string, o TestOptions, r *rt.SetResult) error {
	ins := make([]*ir.Tensor, len(g.Inputs))
	for i := range ins {
		t, _, err := onnx.ReadTensor(filepath.Join(set, fmt.Sprintf("input_%d.pb", i)))
		if err != nil {
			return err
		}
		ins[i] = t
	}
	outs, err := g.Eval(ins...)
	if err != nil {
		return err
	}
	for i, t := range outs {
		want, err := rt.ReadFile(filepath.Join(set, fmt.Sprintf("output_%d.pb", i)))
		if err != nil {
			return err
		}
		got := &rt.Value{Name: g.OutNames[i], Elem: rtElem(t.Elem), Data: t.Data}
		for _, d := range t.Shape {
			got.Shape = append(got.Shape, int(d))
		}
		atol, rtol := (&rt.Program{Rounding: g.Rounding}).Tolerances()
		if o.ATol >= 0 {
			atol = o.ATol
		}
		if o.RTol >= 0 {
			rtol = o.RTol
		}
		cmp := rt.Compare(got, want, atol, rtol)
		r.Outputs = append(r.Outputs, cmp)
		r.Pass = r.Pass && cmp.Pass
	}
	return nil
}

// rtElem maps an element type to the runtime's number; both lists are in one order.
func rtElem(e loop.Elem) rt.Elem { return rt.Elem(e - loop.F32) }
