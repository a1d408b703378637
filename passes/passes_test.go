package passes

import (
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"mmc/ir"
	"mmc/ir/loop"
	_ "mmc/ir/op"
	"mmc/ir/sym"
)

// TestPasses runs the cases of testdata/PASS.txtar. A file NAME.in is a graph; NAME.out is what the pass makes of it, and a case
// without one must come back unchanged. Every case is verified, run again (nothing may change) and evaluated before and after
// on random data under three bindings of its symbols. MMC_UPDATE=1 writes the .out files anew.
func TestPasses(t *testing.T) {
	for _, p := range Pipeline {
		name := strings.TrimRight(p.Name, "23")
		if name != p.Name {
			continue // the same pass again
		}
		file := filepath.Join("testdata", name+".txtar")
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Errorf("pass %s has no cases: %v", p.Name, err)
			continue
		}
		changed, unchanged := runArchive(t, p, a)
		if changed == 0 || unchanged == 0 && name != "deadcode" {
			t.Errorf("%s: %d cases that change and %d that do not; both kinds are wanted", file, changed, unchanged)
		}
		if os.Getenv("MMC_UPDATE") != "" {
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func runArchive(t *testing.T, p Pass, a *txtar.Archive) (changed, unchanged int) {
	outs := map[string]*txtar.File{}
	for i := range a.Files {
		if n, ok := strings.CutSuffix(a.Files[i].Name, ".out"); ok {
			outs[n] = &a.Files[i]
		}
	}
	for _, f := range a.Files {
		n, ok := strings.CutSuffix(f.Name, ".in")
		if !ok {
			continue
		}
		if outs[n] != nil {
			changed++
		} else {
			unchanged++
		}
		t.Run(p.Name+"/"+n, func(t *testing.T) { runCase(t, p, f.Data, outs[n]) })
	}
	return changed, unchanged
}

func runCase(t *testing.T, p Pass, src []byte, out *txtar.File) {
	before, after := parse(t, src), parse(t, src)
	want := before.String()
	apply(t, p, after)
	got := after.String()
	if out != nil {
		if os.Getenv("MMC_UPDATE") != "" {
			out.Data = []byte(got)
		}
		want = string(out.Data)
	}
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	apply(t, p, after)
	if again := after.String(); again != got {
		t.Errorf("run again, the pass changes the graph to\n%s", again)
	}
	for seed := range 3 {
		sameMeaning(t, before, after, int64(seed))
	}
}

func parse(t *testing.T, src []byte) *ir.Graph {
	t.Helper()
	g, err := ir.Parse("case", src)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func apply(t *testing.T, p Pass, g *ir.Graph) {
	t.Helper()
	if _, err := Run(g, []Pass{p}, Options{Verify: true}); err != nil {
		t.Fatal(err)
	}
}

func sameMeaning(t *testing.T, before, after *ir.Graph, seed int64) {
	t.Helper()
	rng := rand.New(rand.NewSource(seed))
	b := sym.Binding{}
	for _, s := range []string{"s0", "s1", "s2"} {
		b[s] = 1 + rng.Int63n(5)
	}
	var in []*ir.Tensor
	for i, v := range before.Inputs {
		shape, err := ir.EvalShape(v.Shape, b)
		if err != nil {
			t.Fatal(err)
		}
		x := ir.NewTensor(v.Elem, shape...)
		ir.FillRandom(x, uint64(seed*100+int64(i)+1), 2)
		in = append(in, x)
	}
	want, err := before.Eval(in...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := after.Eval(in...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if err := near32(got[i], want[i]); err != nil {
			t.Errorf("output %d with %v: %v", i, b, err)
		}
	}
}

func near32(got, want *ir.Tensor) error {
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) || got.Elem != want.Elem {
		return fmt.Errorf("%v, want %v", got, want)
	}
	for i := range want.Len() {
		g, w := got.At(i), want.At(i)
		if g.I != w.I && want.Elem != loop.F32 {
			return fmt.Errorf("element %d is %d, want %d", i, g.I, w.I)
		}
		if d := math.Abs(g.F - w.F); d > 1e-5+1e-5*math.Abs(w.F) || (g.F != g.F) != (w.F != w.F) {
			return fmt.Errorf("element %d is %g, want %g", i, g.F, w.F)
		}
	}
	return nil
}

// TestPipelineIsComplete wants every pass name once.
func TestPipelineIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Pipeline {
		if seen[p.Name] || p.Doc == "" || p.Run == nil {
			t.Errorf("pass %q is there twice or not complete", p.Name)
		}
		seen[p.Name] = true
	}
}
