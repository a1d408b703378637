package golden

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"mmc/driver"
	"mmc/ir"
	_ "mmc/ir/op"
	"mmc/ir/sym"
	"mmc/runtime"
)

// TestOps compiles the graphs of ops/*.txtar and wants the bits of the reference evaluator from every flavour, under several
// sizes of the symbols. Every operator must have a case.
func TestOps(t *testing.T) {
	files, err := filepath.Glob("ops/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var graphs []*ir.Graph
	var names []string
	var compiled []*driver.Compiled
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			name := fmt.Sprintf("%s/%s", strings.TrimSuffix(filepath.Base(file), ".txtar"), f.Name)
			g, err := ir.Parse(name, f.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range g.Nodes {
				seen[n.Op.Name] = true
			}
			c, err := driver.FromGraph(g, driver.Options{Targets: everything()})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			graphs, names, compiled = append(graphs, g), append(names, name), append(compiled, c)
		}
	}
	for name := range ir.Ops() {
		if !seen[name] && !textual[name] {
			t.Errorf("operator %s has no case", name)
		}
	}
	for _, s := range suites(t, compiled) {
		for i, g := range graphs {
			if s.run != nil { // starting an emulator takes longer than the case
				checkOp(t, s, i, names[i], g, 1)
				continue
			}
			for seed := range 3 {
				checkOp(t, s, i, names[i], g, seed)
			}
		}
	}
}

// textual are the operators whose inputs are strings, which random numbers cannot make: TestStrings and ONNX's own cases run them.
var textual = map[string]bool{"stringnormalizer": true, "stringsplit": true, "stringconcat": true, "regexfullmatch": true}

func checkOp(t *testing.T, s programs, i int, name string, g *ir.Graph, seed int) {
	b := sym.Binding{"s0": int64(1 + 2*seed), "s1": int64(1 + (seed*4+3)%7), "s2": int64(1 + seed*9)}
	dir := t.TempDir()
	args := []string{"run", "--json", "-o", dir}
	var in []*ir.Tensor
	for k, v := range g.Inputs {
		shape, err := ir.EvalShape(v.Shape, b)
		if err != nil {
			t.Fatal(err)
		}
		x := ir.NewTensor(v.Elem, shape...)
		ir.FillRandom(x, uint64(7*seed+k+1), 3)
		in = append(in, x)
		file := filepath.Join(dir, fmt.Sprintf("in%d.npy", k))
		if err := rt.WriteNpy(file, rtValue(x)); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-i", v.Name+"="+file)
	}
	want, err := g.Eval(in...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, isa := range s.flavours {
		var doc any
		runProgram(t, s, i, &doc, append(args, "--isa", isa)...)
		for k, w := range want {
			got, err := rt.ReadFile(filepath.Join(dir, fmt.Sprintf("output_%d.npy", k)))
			if err != nil {
				t.Fatal(err)
			}
			if v := rtValue(w); fmt.Sprint(got.Shape) != fmt.Sprint(v.Shape) || !sameBits(got, v) {
				t.Errorf("%s on %s with %v: output %d of shape %v differs from the evaluator's %v", name, isa, b, k, got.Shape, v.Shape)
			}
		}
	}
}

// sameBits compares; the payload of a NaN does not count.
func sameBits(a, b *rt.Value) bool {
	if bytes.Equal(a.Data, b.Data) {
		return true
	}
	if a.Elem != rt.F32 || len(a.Data) != len(b.Data) {
		return false
	}
	for i := range len(a.Data) / 4 {
		x, y := a.At(i), b.At(i)
		if !bytes.Equal(a.Data[i*4:i*4+4], b.Data[i*4:i*4+4]) && (x == x || y == y) {
			return false
		}
	}
	return true
}

func rtValue(t *ir.Tensor) *rt.Value {
	e, err := elemByName(t.Elem.String())
	if err != nil {
		panic(err)
	}
	v := &rt.Value{Elem: e, Data: t.Data}
	for _, d := range t.Shape {
		v.Shape = append(v.Shape, int(d))
	}
	return v
}

func elemByName(name string) (rt.Elem, error) {
	for e := rt.F32; e <= rt.BOOL; e++ {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("no element type %s", name)
}
