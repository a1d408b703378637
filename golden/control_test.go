package golden

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mmc/driver"
	"mmc/frontend/onnx"
	"mmc/frontend/onnx/onnxpb"
	"mmc/runtime"
)

func intNode(op, out string, attrs []*onnxpb.AttributeProto, in ...string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: op, Input: in, Output: []string{out}, Attribute: attrs}
}

func i64(name string, v ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: name, DataType: 7, Dims: []int64{int64(len(v))}, Int64Data: v}
}

// writeMessage writes a model or a tensor to a file, in a folder that may not be there yet.
func writeMessage(t *testing.T, path string, m interface{ Marshal() ([]byte, error) }) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, marshal(t, m), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func opModel(g *onnxpb.GraphProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{IrVersion: 8, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 18}}, Graph: g}
}

// TestFixedInput compiles a Reshape whose shape is an input: without its contents the error says what to fix; with them the input may be
// left out or given, and must then hold what the program was made for.
func TestFixedInput(t *testing.T) {
	g := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "n", 6), port("to", 7, 3)},
		Output: []*onnxpb.ValueInfoProto{port("y", 1)}, Node: []*onnxpb.NodeProto{intNode("Reshape", "y", nil, "x", "to")}}
	dir := t.TempDir()
	file := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(file, marshal(t, opModel(g)), 0o644); err != nil {
		t.Fatal(err)
	}
	o := driver.Options{Targets: everything()}
	_, err := driver.Compile(file, o)
	var uns *onnx.Unsupported
	if !errors.As(err, &uns) || fmt.Sprint(uns.Inputs) != "[to]" || !strings.Contains(err.Error(), "--fix to=VALUE") {
		t.Fatalf("%v", err)
	}
	for _, wrong := range []string{"0,2", "0,2,x", "0,2,5"} {
		o.Fix = map[string]string{"to": wrong}
		if _, err := driver.Compile(file, o); err == nil {
			t.Errorf("to=%s compiles", wrong)
		}
	}
	o.Fix = map[string]string{"to": "0,2,3"}
	c, err := driver.Compile(file, o)
	if err != nil {
		t.Fatal(err)
	}
	s := suite(t, []*driver.Compiled{c})
	x := &rt.Value{Elem: rt.F32, Shape: []int{2, 6}, Data: floats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)}
	save := func(name string, v *rt.Value) string {
		path := filepath.Join(dir, name)
		if err := rt.WriteNpy(path, v); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shape := func(d ...int64) *rt.Value {
		v := &rt.Value{Elem: rt.I64, Shape: []int{len(d)}}
		for _, n := range d {
			v.Data = binary.LittleEndian.AppendUint64(v.Data, uint64(n))
		}
		return v
	}
	in := "x=" + save("x.npy", x)
	for _, c := range []struct {
		args []string
		ok   bool
	}{{nil, true}, {[]string{"-i", "to=" + save("right.npy", shape(0, 2, 3))}, true}, {[]string{"-i", "to=" + save("wrong.npy", shape(0, 3, 2))}, false}} {
		out, err := s.command(0, append([]string{"run", "-i", in}, c.args...)...).CombinedOutput()
		if (err == nil) != c.ok || c.ok && !strings.Contains(string(out), "f32[2 2 3]") {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}

// TestFixedSizes compiles a Reshape to a side that is the root of an axis: the error says which axis to bind, data sets bind it for
// themselves, and what wants axes open binds that one alone.
func TestFixedSizes(t *testing.T) {
	half := &onnxpb.TensorProto{Name: "half", DataType: 1, FloatData: []float32{0.5}}
	to := func(elem int64) []*onnxpb.AttributeProto {
		return []*onnxpb.AttributeProto{{Name: "to", I: elem, Type: 2}}
	}
	g := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "n", "m")}, Output: []*onnxpb.ValueInfoProto{port("y", 1)},
		Initializer: []*onnxpb.TensorProto{i64("one", 1), i64("same", 0), half},
		Node: []*onnxpb.NodeProto{intNode("Shape", "shape", nil, "x"), intNode("Gather", "size", nil, "shape", "one"),
			intNode("Cast", "f", to(1), "size"), intNode("Pow", "root", nil, "f", "half"), intNode("Cast", "side", to(7), "root"),
			intNode("Concat", "to", []*onnxpb.AttributeProto{{Name: "axis", Type: 2}}, "same", "side", "side"), intNode("Reshape", "y", nil, "x", "to")}}
	dir := t.TempDir()
	writeMessage(t, filepath.Join(dir, "model.onnx"), opModel(g))
	for i, n := range []int64{3, 4, 3} {
		x := &onnxpb.TensorProto{Name: "x", DataType: 1, Dims: []int64{2, n * n}, FloatData: make([]float32, 2*n*n)}
		for k := range x.FloatData {
			x.FloatData[k] = float32(k)
		}
		set := filepath.Join(dir, fmt.Sprintf("test_data_set_%d", i))
		writeMessage(t, filepath.Join(set, "input_0.pb"), x)
		x.Name, x.Dims = "y", []int64{2, n, n}
		writeMessage(t, filepath.Join(set, "output_0.pb"), x)
	}
	o := driver.Options{Targets: everything()}
	_, err := driver.Compile(dir, o)
	var uns *onnx.Unsupported
	if !errors.As(err, &uns) || len(uns.Sizes) != 1 || uns.Sizes[0] != (onnx.Size{Name: "m", Input: "x", Axis: 1}) || !strings.Contains(err.Error(), "--dim m=N") {
		t.Fatalf("%v", err)
	}
	var said bytes.Buffer
	if err := driver.Test(&said, []string{dir}, driver.TestOptions{Options: o, ATol: -1, RTol: -1}); err != nil || strings.Count(said.String(), "m=9") != 2 || !strings.Contains(said.String(), "m=16") {
		t.Errorf("%v: %s", err, said.String())
	}
	o.Dims = map[string]int64{"m": 25, "n": 2}
	c, err := driver.CompileOpen(dir, o)
	if err != nil || !c.Bound("m") || c.Bound("n") {
		t.Errorf("%v: %+v", err, c)
	}
}

// TestApart runs a model that calls the axes of two inputs by one name on data where they differ.
func TestApart(t *testing.T) {
	g := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, "n", "length"), port("y", 1, "n", "length")},
		Output: []*onnxpb.ValueInfoProto{port("z", 1)},
		Node:   []*onnxpb.NodeProto{intNode("Concat", "z", []*onnxpb.AttributeProto{{Name: "axis", I: 1, Type: 2}}, "x", "y")}}
	dir := t.TempDir()
	writeMessage(t, filepath.Join(dir, "model.onnx"), opModel(g))
	for name, v := range map[string][]float32{"input_0": {1, 2}, "input_1": {3}, "output_0": {1, 2, 3}} {
		p := &onnxpb.TensorProto{DataType: 1, Dims: []int64{1, int64(len(v))}, FloatData: v}
		writeMessage(t, filepath.Join(dir, "test_data_set_0", name+".pb"), p)
	}
	o := driver.Options{Targets: everything()}
	var said bytes.Buffer
	if err := driver.Test(&said, []string{dir}, driver.TestOptions{Options: o, ATol: -1, RTol: -1}); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	o.Apart = map[string]bool{"length": true}
	o.Dims = map[string]int64{"y.length": 3}
	c, err := driver.Compile(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if in := c.Graph.Inputs; in[0].Shape[0] != in[1].Shape[0] || !in[1].Shape[1].Is(3) || in[0].Shape[1].Is(3) {
		t.Errorf("shapes %v and %v", in[0].Shape, in[1].Shape)
	}
}

// TestLoopBombs reads graphs in graphs that would unroll to more than can be held: they end soon, with a reason.
func TestLoopBombs(t *testing.T) {
	body := &onnxpb.GraphProto{Name: "b", Input: []*onnxpb.ValueInfoProto{port("i", 7), port("c", 9), port("v", 1, 2)},
		Output: []*onnxpb.ValueInfoProto{port("c", 9), port("w", 1, 2)}, Node: []*onnxpb.NodeProto{intNode("Neg", "w", nil, "v")}}
	for depth := range 5 {
		loop := &onnxpb.NodeProto{OpType: "Loop", Input: []string{"trips", "", "v"}, Output: []string{"w"},
			Attribute: []*onnxpb.AttributeProto{{Name: "body", Type: 5, G: body}}}
		body = &onnxpb.GraphProto{Name: fmt.Sprintf("b%d", depth), Input: body.Input, Output: body.Output, Node: []*onnxpb.NodeProto{loop}}
	}
	for _, c := range []struct {
		trips    int64
		constant bool // what it begins with
		fails    bool
	}{{16, false, true}, {16, true, true}, {4000, false, false}, {4000, true, false}} {
		g := &onnxpb.GraphProto{Name: "g", Initializer: []*onnxpb.TensorProto{i64("trips", c.trips)}, Output: []*onnxpb.ValueInfoProto{port("w", 1, 2)}, Node: body.Node}
		if c.constant {
			g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: "v", DataType: 1, Dims: []int64{2}, FloatData: []float32{1, 2}})
		} else {
			g.Input = []*onnxpb.ValueInfoProto{port("v", 1, 2)}
		}
		start := time.Now()
		err := compileBytes(marshal(t, opModel(g)), t.TempDir())
		if (err != nil) != c.fails || time.Since(start) > 30*time.Second {
			t.Errorf("%d iterations, constant %v: after %v: %v", c.trips, c.constant, time.Since(start), err)
		}
		mustBeTyped(t, "loops in loops", marshal(t, opModel(g)))
	}
}

// TestSizeBombs reads operators whose attributes ask for tables larger than can be held.
func TestSizeBombs(t *testing.T) {
	str := func(name, s string) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: name, Type: 3, S: []byte(s)}
	}
	cases := map[string]*onnxpb.GraphProto{
		"resize": {Initializer: []*onnxpb.TensorProto{i64("sizes", 1, 1, 4000000)}, Input: []*onnxpb.ValueInfoProto{port("x", 1, 1, 1, 3000000)},
			Node: []*onnxpb.NodeProto{intNode("Resize", "y", []*onnxpb.AttributeProto{str("mode", "linear"), str("coordinate_transformation_mode", "half_pixel_symmetric")}, "x", "", "", "sizes")}},
		"window": {Initializer: []*onnxpb.TensorProto{i64("n", 1<<40)}, Input: []*onnxpb.ValueInfoProto{port("x", 1, 1)},
			Node: []*onnxpb.NodeProto{intNode("HannWindow", "y", nil, "n")}},
		"sequence": {Input: []*onnxpb.ValueInfoProto{port("x", 1, 1<<30)},
			Node: []*onnxpb.NodeProto{intNode("SplitToSequence", "s", nil, "x"), intNode("ConcatFromSequence", "y", []*onnxpb.AttributeProto{{Name: "axis", Type: 2}}, "s")}},
		"grid": {Initializer: []*onnxpb.TensorProto{i64("size", 1, 1, 1<<30, 1<<30)}, Input: []*onnxpb.ValueInfoProto{port("x", 1, 1, 2, 3)},
			Node: []*onnxpb.NodeProto{intNode("AffineGrid", "y", nil, "x", "size")}},
	}
	for name, g := range cases {
		g.Name, g.Output = "g", []*onnxpb.ValueInfoProto{port("y", 1)}
		m := opModel(g)
		m.OpsetImport[0].Version = 20
		start := time.Now()
		err := compileBytes(marshal(t, m), t.TempDir())
		if err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("%s: after %v: %v", name, time.Since(start), err)
		}
		mustBeTyped(t, name, marshal(t, m))
	}
}

// TestBranches tests a model whose condition is an input and whose branches have results of different shapes, on data sets that take one
// branch and the other: each gets the program made for it.
func TestBranches(t *testing.T) {
	branch := func(name string, node *onnxpb.NodeProto) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: name, Type: 5, G: &onnxpb.GraphProto{Name: name, Node: []*onnxpb.NodeProto{node},
			Output: []*onnxpb.ValueInfoProto{port("r", 1)}}}
	}
	g := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 1, 2), port("c", 9, 1)}, Output: []*onnxpb.ValueInfoProto{port("y", 1)},
		Node: []*onnxpb.NodeProto{intNode("If", "y", []*onnxpb.AttributeProto{
			branch("then_branch", intNode("Concat", "r", []*onnxpb.AttributeProto{{Name: "axis", Type: 2}}, "x", "x")),
			branch("else_branch", intNode("Neg", "r", nil, "x"))}, "c")}}
	dir := t.TempDir()
	writeMessage(t, filepath.Join(dir, "model.onnx"), opModel(g))
	float := func(name string, v ...float32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: name, DataType: 1, Dims: []int64{int64(len(v))}, FloatData: v}
	}
	for i, want := range []*onnxpb.TensorProto{float("y", 1, 2, 1, 2), float("y", -1, -2)} {
		set := filepath.Join(dir, fmt.Sprintf("test_data_set_%d", i))
		writeMessage(t, filepath.Join(set, "input_0.pb"), float("x", 1, 2))
		writeMessage(t, filepath.Join(set, "input_1.pb"), &onnxpb.TensorProto{Name: "c", DataType: 9, Dims: []int64{1}, Int32Data: []int32{int32(1 - i)}})
		writeMessage(t, filepath.Join(set, "output_0.pb"), want)
	}
	for _, eval := range []bool{false, true} {
		var out strings.Builder
		err := driver.Test(&out, []string{dir}, driver.TestOptions{Options: driver.Options{Targets: everything()}, Eval: eval, ATol: -1, RTol: -1})
		if err != nil || !strings.Contains(out.String(), "2 of 2 data sets pass") {
			t.Errorf("eval %v: %v\n%s", eval, err, out.String())
		}
	}
}
