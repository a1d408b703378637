package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
)

func input(name string, dims ...string) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d}})
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{TensorType: &onnxpb.TypeProto_Tensor{ElemType: 1, Shape: shape}}}
}

func node(domain, op, out string, in ...string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{Domain: domain, OpType: op, Output: []string{out}, Input: in}
}

func decode(t *testing.T, g *onnxpb.GraphProto, fs ...*onnxpb.FunctionProto) (*Model, error) {
	t.Helper()
	m := &onnxpb.ModelProto{IrVersion: 8, Graph: g, Functions: fs,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}, {Domain: "own", Version: 1}}}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return Decode(data, t.TempDir(), Options{})
}

// TestFunctions inlines functions that call each other and pass attributes on.
func TestFunctions(t *testing.T) {
	leaky := node("", "LeakyRelu", "q", "p")
	leaky.Attribute = []*onnxpb.AttributeProto{{Name: "alpha", RefAttrName: "slope", Type: 1}}
	inner := &onnxpb.FunctionProto{Domain: "own", Name: "Inner", Input: []string{"p"}, Output: []string{"q"}, Attribute: []string{"slope"},
		Node: []*onnxpb.NodeProto{leaky}, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}}
	call := node("own", "Inner", "h", "a")
	call.Attribute = []*onnxpb.AttributeProto{{Name: "slope", F: 0.5, Type: 1}}
	outer := &onnxpb.FunctionProto{Domain: "own", Name: "Outer", Input: []string{"a"}, Output: []string{"b"},
		Node: []*onnxpb.NodeProto{call, node("", "Add", "b", "h", "a")}, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}}
	m, err := decode(t, &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y", "n")},
		Node: []*onnxpb.NodeProto{node("own", "Outer", "y", "x")}}, inner, outer)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Graph.Eval(ir.Floats([]float32{-2, 4}, 2))
	if err != nil {
		t.Fatal(err)
	}
	if got := ir.Slice[float32](out[0]); got[0] != -3 || got[1] != 8 {
		t.Errorf("leaky(x, 0.5) + x of -2 and 4 = %v, want -3 and 8", got)
	}
}

// TestFunctionBombs refuses functions that call themselves, and stops functions that call the one before twice.
func TestFunctionBombs(t *testing.T) {
	graph := func(f string) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y", "n")},
			Node: []*onnxpb.NodeProto{node("own", f, "y", "x")}}
	}
	self := &onnxpb.FunctionProto{Domain: "own", Name: "Self", Input: []string{"a"}, Output: []string{"b"}, Node: []*onnxpb.NodeProto{node("own", "Self", "b", "a")}}
	var rej *Rejected
	if _, err := decode(t, graph("Self"), self); !errors.As(err, &rej) || !strings.Contains(err.Error(), "calls itself") {
		t.Errorf("a function that calls itself: %v", err)
	}
	var fs []*onnxpb.FunctionProto
	for i := range 40 {
		name, before := fmt.Sprintf("F%d", i), fmt.Sprintf("F%d", i-1)
		body := []*onnxpb.NodeProto{node("own", before, "h", "a"), node("own", before, "b", "h")}
		if i == 0 {
			body = []*onnxpb.NodeProto{node("", "Relu", "b", "a")}
		}
		fs = append(fs, &onnxpb.FunctionProto{Domain: "own", Name: name, Input: []string{"a"}, Output: []string{"b"}, Node: body,
			OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}})
	}
	if _, err := decode(t, graph("F39"), fs...); !errors.As(err, &rej) || !strings.Contains(err.Error(), "nodes") {
		t.Errorf("2^40 nodes: %v", err)
	}
}

// TestOneNameTwoAxes reads an input of shape [batch, batch]: the axes are two symbols; across inputs they are the same two.
func TestOneNameTwoAxes(t *testing.T) {
	m, err := decode(t, &onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", "batch", "batch"), input("z", "batch", "batch")}, Output: []*onnxpb.ValueInfoProto{input("y")},
		Node: []*onnxpb.NodeProto{node("", "Add", "y", "x", "z")}})
	if err != nil {
		t.Fatal(err)
	}
	x := ir.NewTensor(m.Graph.Inputs[0].Elem, 8, 31)
	if _, err := m.Graph.Eval(x, x); err != nil {
		t.Errorf("inputs of [8, 31]: %v", err)
	}
}

// TestNamesLikeSymbols binds an axis that the model calls as we call another: PyTorch's exporter calls axes s0, s53, s77.
func TestNamesLikeSymbols(t *testing.T) {
	m := &onnxpb.ModelProto{IrVersion: 8, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}, Graph: &onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", "s77", "s0")}, Output: []*onnxpb.ValueInfoProto{input("y")}, Node: []*onnxpb.NodeProto{node("", "Neg", "y", "x")}}}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data, t.TempDir(), Options{Dims: map[string]int64{"s0": 5, "s1": 7}})
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Graph.Inputs[0].Shape; !s[1].Is(5) || s[0].Is(5) {
		t.Errorf("shape %v", s)
	}
}

// TestDifferentNamesForOneSize unifies axes that an operator needs to be equal.
func TestDifferentNamesForOneSize(t *testing.T) {
	m, err := decode(t, &onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", "a", "b"), input("z", "c", "d")}, Output: []*onnxpb.ValueInfoProto{input("y")},
		Node: []*onnxpb.NodeProto{node("", "Add", "y", "x", "z")}})
	if err != nil {
		t.Fatal(err)
	}
	if in := m.Graph.Inputs; !ir.SameShape(in[0].Shape, in[1].Shape) {
		t.Errorf("shapes %v and %v", in[0].Shape, in[1].Shape)
	}
}

// TestSummandsOfOneSize unifies axes that two concatenations make one: an export with a length of its own for each cache.
func TestSummandsOfOneSize(t *testing.T) {
	join := func(out string, in ...string) *onnxpb.NodeProto {
		n := node("", "Concat", out, in...)
		n.Attribute = []*onnxpb.AttributeProto{{Name: "axis", Type: 2}}
		return n
	}
	m, err := decode(t, &onnxpb.GraphProto{
		Input:  []*onnxpb.ValueInfoProto{input("x", "n"), input("k", "past k"), input("v", "past v")},
		Output: []*onnxpb.ValueInfoProto{input("y")},
		Node:   []*onnxpb.NodeProto{join("a", "k", "x"), join("b", "v", "x"), node("", "Mul", "y", "a", "b")}})
	if err != nil {
		t.Fatal(err)
	}
	if in := m.Graph.Inputs; !ir.SameShape(in[1].Shape, in[2].Shape) || ir.SameShape(in[0].Shape, in[1].Shape) {
		t.Errorf("shapes %v, %v and %v", in[0].Shape, in[1].Shape, in[2].Shape)
	}
}

// TestSizesOfData refuses what is right only if a size that depends on data has a certain value.
func TestSizesOfData(t *testing.T) {
	kept := node("", "Compress", "c", "x", "mask")
	_, err := decode(t, &onnxpb.GraphProto{
		Input: []*onnxpb.ValueInfoProto{input("x", "n"), input("z", "m")}, Output: []*onnxpb.ValueInfoProto{input("y")},
		Node: []*onnxpb.NodeProto{node("", "Greater", "mask", "x", "x"), kept, node("", "Add", "y", "c", "z")}})
	if err == nil || !strings.Contains(err.Error(), "depends on data") {
		t.Errorf("%v", err)
	}
}

// TestAllProblemsAtOnce wants every unknown operator listed with its count.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := decode(t, &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("c")},
		Node: []*onnxpb.NodeProto{node("", "Frobnicate", "a", "x"), node("", "Frobnicate", "b", "a"), node("far.away", "Teleport", "c", "b")}})
	var uns *Unsupported
	if !errors.As(err, &uns) || len(uns.List) != 2 || uns.List[0].Count != 2 || uns.List[1].Domain != "far.away" {
		t.Errorf("%v", err)
	}
}

// TestBlockedLayout refuses what ONNX Runtime saves for one CPU by saying what to save instead.
func TestBlockedLayout(t *testing.T) {
	_, err := decode(t, &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y")},
		Node: []*onnxpb.NodeProto{node("com.microsoft.nchwc", "ReorderInput", "y", "x")}})
	if err == nil || !strings.Contains(err.Error(), "ORT_ENABLE_EXTENDED") {
		t.Errorf("%v", err)
	}
}

// TestTensorForms reads the same numbers from raw data and from the typed field.
func TestTensorForms(t *testing.T) {
	raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	for _, p := range []*onnxpb.TensorProto{
		{DataType: 1, Dims: []int64{1}, RawData: raw}, {DataType: 1, Dims: []int64{1}, FloatData: []float32{1.5}},
		{DataType: 10, Dims: []int64{1}, Int32Data: []int32{0x3e00}}, {DataType: 11, Dims: []int64{1}, DoubleData: []float64{1.5}},
	} {
		x, err := (*external)(nil).tensor(p)
		if err != nil || x.At(0).F != 1.5 {
			t.Errorf("%v: %v", p, err)
		}
	}
	for _, p := range []*onnxpb.TensorProto{
		{DataType: 1, Dims: []int64{2}, RawData: raw}, {DataType: 1, Dims: []int64{1}}, {DataType: 9, Dims: []int64{1}, RawData: []byte{7}},
		{DataType: 1, Dims: []int64{-1}, RawData: raw}, {DataType: 8, Dims: []int64{1}},
	} {
		if _, err := (*external)(nil).tensor(p); err == nil {
			t.Errorf("%v is accepted", p)
		}
	}
}

// TestRange wants the ranges that ONNX Runtime 1.32 gives for starts between whole numbers, up and down to a size or a constant.
func TestRange(t *testing.T) {
	for _, c := range []struct {
		start, step float32
		limit       string // constant if not the size
		size        int
		want        []float32
	}{
		{0.5, 1, "", 3, []float32{0.5, 1.5, 2.5}},
		{-1.25, 2, "", 2, []float32{-1.25, 0.75}},
		{0.25, 5, "", 1, []float32{0.25}},
		{-1.25, 3, "", 2, []float32{-1.25, 1.75}},
		{9.75, -3, "", 4, []float32{9.75, 6.75}},
		{9.5, -1, "", 8, []float32{9.5, 8.5}},
		{8.25, -2, "", 8, []float32{8.25}},
		{3.5, -1, "", 4, nil},
		{5.5, -1.25, "zero", 1, []float32{5.5, 4.25, 3, 1.75, 0.5}},
	} {
		g := &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y", "m")},
			Node: []*onnxpb.NodeProto{node("", "Shape", "shape", "x"), node("", "Squeeze", "whole", "shape"), node("", "Cast", "size", "whole"),
				node("", "Range", "y", "start", "limit", "step")},
			Initializer: []*onnxpb.TensorProto{number("start", c.start), number("step", c.step), number("zero", 0)}}
		g.Node[2].Attribute = []*onnxpb.AttributeProto{{Name: "to", I: 1, Type: 2}}
		if g.Node[3].Input[1] = c.limit; c.limit == "" {
			g.Node[3].Input[1] = "size"
		}
		m, err := decode(t, g)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		out, err := m.Graph.Eval(ir.Floats(make([]float32, c.size), int64(c.size)))
		if err != nil {
			t.Fatal(err)
		}
		if got := ir.Slice[float32](out[0]); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v gives %v", c, got)
		}
	}
}

func number(name string, x float32) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: name, DataType: 1, FloatData: []float32{x}}
}

// TestLastOfRandom picks from a vector that nothing was given to, whose elements nobody can know.
func TestLastOfRandom(t *testing.T) {
	random := node("", "RandomUniform", "r")
	random.Attribute = []*onnxpb.AttributeProto{{Name: "shape", Ints: []int64{4}, Type: 7}}
	g := &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y", "n")},
		Node:        []*onnxpb.NodeProto{random, node("", "Gather", "last", "r", "at"), node("", "Add", "y", "x", "last")},
		Initializer: []*onnxpb.TensorProto{{Name: "at", DataType: 7, Int64Data: []int64{-1}}}}
	if _, err := decode(t, g); err != nil {
		t.Error(err)
	}
}

// TestCycles refuses nodes that read their own outputs or each other's.
func TestCycles(t *testing.T) {
	for _, c := range []struct {
		nodes []*onnxpb.NodeProto
		want  string
	}{
		{[]*onnxpb.NodeProto{node("", "Add", "y", "x", "y")}, `node 0 (Add): input 1, "y", is not defined before this node`},
		{[]*onnxpb.NodeProto{node("", "Add", "a", "x", "b"), node("", "Neg", "b", "a"), node("", "Neg", "y", "b")}, `node 1 (Neg): input 0, "a", is not defined before this node`},
	} {
		_, err := decode(t, &onnxpb.GraphProto{Input: []*onnxpb.ValueInfoProto{input("x", "n")}, Output: []*onnxpb.ValueInfoProto{input("y", "n")}, Node: c.nodes})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
