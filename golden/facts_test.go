package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mmc/driver"
	"mmc/frontend/onnx/onnxpb"
)

// TestFacts compiles models whose axes have names of their own though only some sizes make sense: the exporters name every axis of every
// input. What must hold is found, and is part of the program's inputs.
func TestFacts(t *testing.T) {
	axis := func(g *onnxpb.GraphProto, x, out string, i int64) {
		g.Initializer = append(g.Initializer, i64(out+"_i", i))
		g.Node = append(g.Node, intNode("Shape", out+"_s", nil, x), intNode("Gather", out, nil, out+"_s", out+"_i"))
	}
	// a mask [b2, s] as [b, -1], then beside the tokens [b, s2]
	mask := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("tokens", 1, "b", "s2"), port("mask", 1, "b2", "s")},
		Initializer: []*onnxpb.TensorProto{i64("rest", -1)}, Output: []*onnxpb.ValueInfoProto{port("y", 1)}}
	axis(mask, "tokens", "batch", 0)
	mask.Node = append(mask.Node, intNode("Concat", "to", []*onnxpb.AttributeProto{{Name: "axis", Type: 2}}, "batch", "rest"),
		intNode("Reshape", "flat", nil, "mask", "to"), intNode("Add", "y", nil, "tokens", "flat"))
	// [b, 4, 8] as [1, 4, 8]: the batch is one
	one := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "b", 4, 8)},
		Initializer: []*onnxpb.TensorProto{i64("to", 1, 32)}, Output: []*onnxpb.ValueInfoProto{port("y", 1)}}
	one.Node = append(one.Node, intNode("Reshape", "y", nil, "x", "to"))
	// sizes of all axes by factors, the batch's being one
	resize := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "b", 3, 4, 4)}, Output: []*onnxpb.ValueInfoProto{port("y", 1)},
		Initializer: []*onnxpb.TensorProto{{Name: "f", DataType: 1, Dims: []int64{4}, RawData: floats(1, 1, 2, 2)}}}
	resize.Node = append(resize.Node, intNode("Resize", "y", []*onnxpb.AttributeProto{{Name: "mode", Type: 3, S: []byte("linear")},
		{Name: "coordinate_transformation_mode", Type: 3, S: []byte("align_corners")}}, "x", "", "f"))
	// the first s of 64 positions beside [b, s]: s is at most 64
	few := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "b", "s")}, Output: []*onnxpb.ValueInfoProto{port("y", 1)},
		Initializer: []*onnxpb.TensorProto{tensor("positions", 64), i64("zero", 0), i64("first", 0)}}
	axis(few, "x", "s", 1)
	few.Node = append(few.Node, intNode("Slice", "p", nil, "positions", "zero", "s", "first"), intNode("Add", "y", nil, "x", "p"))
	for _, c := range []struct {
		g    *onnxpb.GraphProto
		want string
	}{{mask, "[[s2 s1] [s2 s1]]"}, {one, "[[1 4 8]]"}, {resize, "[[s0 3 4 4]]"}, {few, "[[s0 s1]]"}} {
		file := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(file, marshal(t, opModel(c.g)), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := driver.Compile(file, driver.Options{Targets: everything(), Verify: true})
		if err != nil {
			t.Error(err)
			continue
		}
		var shapes []string
		for _, v := range m.Graph.Inputs {
			shapes = append(shapes, fmt.Sprint(v.Shape))
		}
		if got := fmt.Sprint(shapes); got != c.want {
			t.Errorf("inputs of shapes %s, want %s", got, c.want)
		}
		if c.g == few && len(m.Graph.Requires) == 0 {
			t.Error("the program does not check that there are at most 64 positions")
		}
	}
}
