package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmc/frontend/onnx/onnxpb"
)

// layeredModel is a stack of equal layers: norm, linear, GELU written out, linear, residual.
func layeredModel(layers int) *onnxpb.ModelProto {
	scalar := func(name string, x float32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: name, DataType: 1, RawData: floats(x)}
	}
	g := &onnxpb.GraphProto{
		Input:       []*onnxpb.ValueInfoProto{port("x", 1, "batch", "sequence", 32)},
		Initializer: []*onnxpb.TensorProto{scalar("sqrt2", 1.4142135), scalar("one", 1), scalar("half", 0.5)},
	}
	last := "x"
	for l := range layers {
		name := func(s string) string { return fmt.Sprintf("layer%d.%s", l, s) }
		node := func(op, out string, in ...string) string {
			g.Node = append(g.Node, &onnxpb.NodeProto{OpType: op, Name: name(op), Input: in, Output: []string{name(out)}})
			return name(out)
		}
		weight := func(s string, dims ...int64) string {
			w := tensor(name(s), dims...)
			w.RawData[l%16] ^= 1 // layers differ in their weights
			g.Initializer = append(g.Initializer, w)
			return name(s)
		}
		n := node("LayerNormalization", "n", last, weight("g", 32), weight("b", 32))
		h := node("Add", "h", node("MatMul", "m", n, weight("w1", 32, 48)), weight("b1", 48))
		e := node("Add", "e1", node("Erf", "e", node("Div", "d", h, "sqrt2")), "one")
		a := node("Mul", "a", node("Mul", "a0", h, e), "half")
		o := node("Add", "o", node("MatMul", "m2", a, weight("w2", 48, 32)), weight("b2", 32))
		last = node("Add", "r", last, o)
	}
	g.Output = []*onnxpb.ValueInfoProto{port(last, 1, "batch", "sequence", 32)}
	return &onnxpb.ModelProto{IrVersion: 8, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}, Graph: g}
}

// TestLinesDoNotGrow wants the emitted Go and assembly of 48 layers to have at most 1.1 times the lines of 12.
func TestLinesDoNotGrow(t *testing.T) {
	lines := func(layers int) int {
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, marshal(t, layeredModel(layers)), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		c := compile(t, path)
		if len(c.Plan.Repeats) == 0 {
			t.Errorf("%d equal layers are not found", layers)
		}
		if err := c.Emit(out); err != nil {
			t.Fatal(err)
		}
		n := 0
		for name, text := range readTree(t, out) {
			if strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".s") {
				n += strings.Count(text, "\n")
			}
		}
		return n
	}
	if a, b := lines(12), lines(48); float64(b) > 1.1*float64(a) {
		t.Errorf("%d lines for 12 layers, %d for 48", a, b)
	}
}
