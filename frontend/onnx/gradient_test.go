package onnx

import (
	"fmt"
	"math"
	"testing"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
)

// TestGradient holds the derivatives of one node against differences: y(x + h d) - y(x - h d) over 2h for a direction d of ones, since y
// is summed over its elements.
func TestGradient(t *testing.T) {
	for _, op := range []string{"Neg", "Exp", "Log", "Sin", "Cos", "Sqrt", "Tanh", "Sigmoid", "Relu", "Transpose", "Flatten", "ReduceSum", "ReduceMean",
		"ReduceSumSquare", "Add", "Sub", "Mul", "Div", "MatMul", "Expand"} {
		for x := range derived(op) {
			t.Run(fmt.Sprint(op, x), func(t *testing.T) { checkGradient(t, op, x) })
		}
	}
}

// derived are the shapes of an operator's inputs that have derivatives.
func derived(op string) [][]int64 {
	switch op {
	case "Add", "Sub", "Mul", "Div":
		return [][]int64{{2, 3}, {3}}
	case "MatMul":
		return [][]int64{{2, 3}, {3, 2}}
	case "Expand":
		return [][]int64{{2, 1}}
	}
	return [][]int64{{2, 3}}
}

func checkGradient(t *testing.T, op string, which int) {
	shapes := derived(op)
	f := node("", op, "f")
	g := &onnxpb.GraphProto{Name: "g", Output: []*onnxpb.ValueInfoProto{{Name: "y"}, {Name: "dx"}}}
	var in []*ir.Tensor
	for i, s := range shapes {
		name := fmt.Sprint("x", i)
		p := input(name)
		for _, d := range s {
			p.Type.TensorType.Shape.Dim = append(p.Type.TensorType.Shape.Dim, &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
		}
		g.Input, f.Input = append(g.Input, p), append(f.Input, name)
		x := ir.NewTensor(1, s...)
		for k := range x.Len() {
			ir.Slice[float32](x)[k] = 0.4 + 0.3*float32(k) - 0.1*float32(i)
		}
		in = append(in, x)
	}
	if op == "Expand" {
		g.Initializer = []*onnxpb.TensorProto{{Name: "to", DataType: 7, Dims: []int64{2}, Int64Data: []int64{2, 3}}}
		f.Input = append(f.Input, "to")
	}
	// The square makes what flows back different in every place.
	gradient := node("ai.onnx.preview.training", "Gradient", "dx", fmt.Sprint("x", which))
	gradient.Attribute = []*onnxpb.AttributeProto{{Name: "xs", Strings: [][]byte{[]byte(fmt.Sprint("x", which))}}, {Name: "y", S: []byte("y")}}
	g.Node = []*onnxpb.NodeProto{f, node("", "Mul", "y", "f", "f"), gradient}
	m := &onnxpb.ModelProto{IrVersion: 8, Graph: g, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 12}, {Domain: "ai.onnx.preview.training", Version: 1}}}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	model, err := Decode(data, t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.Graph.Eval(in...)
	if err != nil {
		t.Fatal(err)
	}
	dx := ir.Slice[float32](out[1])
	for k := range dx {
		want := slope(t, model.Graph, in, which, k)
		if got := float64(dx[k]); math.Abs(got-want) > 2e-2*math.Max(1, math.Abs(want)) {
			t.Errorf("element %d: %g, differences give %g", k, got, want)
		}
	}
}

// slope is how much the sum of the first output grows with element k of an input.
func slope(t *testing.T, g *ir.Graph, in []*ir.Tensor, which, k int) float64 {
	const h = 1.0 / 128
	x := ir.Slice[float32](in[which])
	old := x[k]
	sum := func(v float32) (s float64) {
		x[k] = v
		out, err := g.Eval(in...)
		if err != nil {
			t.Fatal(err)
		}
		for _, y := range ir.Slice[float32](out[0]) {
			s += float64(y)
		}
		return s
	}
	d := sum(old+h) - sum(old-h)
	x[k] = old
	return d / (2 * h)
}
