package golden

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mmc/driver"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
	"mmc/runtime"
)

// TestWeightsAligned wants the weights of built binaries to begin at a whole cache line, wherever the linker would have put them, and
// their results to be right.
func TestWeightsAligned(t *testing.T) {
	for _, width := range []int64{512, 528, 544, 560} {
		x := &ir.Value{Name: "x", Elem: loop.F32, Shape: []sym.Dim{sym.Sym("s0"), sym.Const(width)}}
		w := ir.NewTensor(loop.F32, width, width)
		ir.FillRandom(w, uint64(width), 1)
		n, err := ir.NewNode(op.Linear, op.LinearAttr{}, []string{"n"}, x, ir.ConstValue("w", w), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		g := &ir.Graph{Inputs: []*ir.Value{x}, Nodes: []*ir.Node{n}, Outputs: n.Out, OutNames: []string{"y"}, Hints: map[string]string{}}
		c, err := driver.FromGraph(g, driver.Options{Targets: everything()})
		if err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(t.TempDir(), "bin")
		if err := c.Build(bin); err != nil {
			t.Fatal(err)
		}
		var weights bytes.Buffer
		if err := c.Plan.WriteWeights(&weights); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(data, weights.Bytes()); at < 0 || at%64 != 0 {
			t.Errorf("width %d: the weights lie at %d", width, at)
		}
		checkBinary(t, bin, g, width)
	}
}

// checkBinary compares a program with the evaluator on one input.
func checkBinary(t *testing.T, bin string, g *ir.Graph, width int64) {
	t.Helper()
	in := ir.NewTensor(loop.F32, 3, width)
	ir.FillRandom(in, 5, 1)
	dir := t.TempDir()
	if err := rt.WriteNpy(filepath.Join(dir, "x.npy"), rtValue(in)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "run", "-i", "x="+filepath.Join(dir, "x.npy"), "-o", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := g.Eval(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rt.ReadFile(filepath.Join(dir, "output_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	if v := rtValue(want[0]); fmt.Sprint(got.Shape) != fmt.Sprint(v.Shape) || !sameBits(got, v) {
		t.Errorf("width %d: the program's result differs from the evaluator's", width)
	}
}
