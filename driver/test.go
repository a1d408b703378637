package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"mmc/frontend/onnx"
	"mmc/ir"
	"mmc/ir/loop"
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

// batch is the most models of one go build.
const batch = 40

// Test compiles the models of the folders, many in one build, runs their data sets and prints the results. A model that cannot
// be read is a result with an error.
func Test(w io.Writer, dirs []string, o TestOptions) error {
	var results []rt.SetResult
	for len(dirs) > 0 {
		n := min(batch, len(dirs))
		part, err := testBatch(dirs[:n], o)
		if err != nil {
			return err
		}
		results, dirs = append(results, part...), dirs[n:]
	}
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

func testBatch(dirs []string, o TestOptions) ([]rt.SetResult, error) {
	var results []rt.SetResult
	var list []*Compiled
	var where [][]string
	for _, dir := range dirs {
		vs, err := variants(dir, o.Options)
		if err != nil {
			results = append(results, rt.SetResult{Model: filepath.Base(dir), Error: err.Error()})
			continue
		}
		for _, v := range vs {
			if o.Eval {
				results = append(results, evalSets(v, o)...)
				continue
			}
			list, where = append(list, v.c), append(where, v.sets)
		}
	}
	if len(list) == 0 {
		return results, nil
	}
	s, err := BuildSuite(list, "", "")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for i := range list {
		part, err := s.test(i, where[i], o)
		if err != nil {
			part = []rt.SetResult{{Model: filepath.Base(where[i][0]), Error: err.Error()}}
		}
		results = append(results, part...)
	}
	return results, nil
}

// CompileFor is Compile for a folder with data sets: inputs whose contents operators have to know are fixed to those of the first set.
func CompileFor(dir string, o Options) (*Compiled, error) {
	for {
		c, err := Compile(dir, o)
		var uns *onnx.Unsupported
		if !errors.As(err, &uns) || !o.fixFrom(dir, uns.Inputs) {
			return c, err
		}
	}
}

// fixFrom fixes inputs to what the folder's first data set holds; it reports whether it found a new one.
func (o *Options) fixFrom(dir string, names []string) bool {
	sets, err := rt.DataSets(dir)
	if err != nil {
		return false
	}
	files, _ := filepath.Glob(filepath.Join(sets[0], "input_*.pb"))
	fixed := map[string]*ir.Tensor{}
	for name, t := range o.Fixed {
		fixed[name] = t
	}
	before := len(fixed)
	for _, f := range files {
		t, name, err := onnx.ReadTensor(f)
		if err == nil && slices.Contains(names, name) {
			fixed[name] = t
		}
	}
	o.Fixed = fixed
	return len(fixed) > before
}

// variant is a program and the data sets it is for: all of a folder's, or those that agree in the inputs it was made for.
type variant struct {
	c    *Compiled
	sets []string
}

// variants compiles a folder's model, once for every contents that its data sets have for the inputs that must be fixed.
func variants(dir string, o Options) ([]variant, error) {
	c, err := CompileFor(dir, o)
	if err != nil {
		return nil, err
	}
	if len(c.o.Fixed) == len(o.Fixed) {
		return []variant{{c, []string{dir}}}, nil
	}
	sets, err := rt.DataSets(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range c.o.Fixed {
		names = append(names, name)
	}
	var out []variant
	known := map[string]int{}
	for k, set := range sets {
		own := o
		own.fixFrom(set, names)
		key := contents(own.Fixed)
		if i, ok := known[key]; ok {
			out[i].sets = append(out[i].sets, set)
			continue
		}
		known[key] = len(out)
		if k > 0 {
			if c, err = Compile(dir, own); err != nil {
				return nil, err
			}
		}
		out = append(out, variant{c, []string{set}})
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
