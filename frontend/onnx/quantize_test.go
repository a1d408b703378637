package onnx

import (
	"math"
	"math/rand/v2"
	"testing"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
)

// TestQuantizedConstants wants of constants, which are quantised while reading, the bytes that the operator's own steps give of an input of
// the same contents: ties, infinities, NaN, what lies outside the type's bounds; scales of one entry and along each axis.
func TestQuantizedConstants(t *testing.T) {
	const rows, cols = 6, 35
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 40)
		if i%3 == 0 {
			x[i] = float32(math.RoundToEven(float64(x[i]))) + 0.5
		}
	}
	x[1], x[2], x[3] = float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1))
	nan := append([]float32{}, x...)
	nan[7] = float32(math.NaN())
	for _, c := range []struct {
		name string
		x    []float32
		elem int32 // of the zero point: 2 u8, 3 i8, 4 u16, 5 i16
		dims []int64
		axis int64
	}{
		{"u8", x, 2, nil, 1}, {"i8", x, 3, nil, 1}, {"u16", x, 4, nil, 1}, {"i16", x, 5, nil, 1}, {"nan", nan, 2, nil, 1},
		{"i8 by rows", x, 3, []int64{rows}, 0}, {"u8 by columns", x, 2, []int64{cols}, 1}, {"u8 by the last axis", x, 2, []int64{cols}, -1},
	} {
		quantise := node("", "QuantizeLinear", "y", "x", "scale", "zero")
		quantise.Attribute = []*onnxpb.AttributeProto{{Name: "axis", I: c.axis, Type: 2}}
		of, scales, zeros := int64(1), []float32{}, []int32{}
		for _, d := range c.dims {
			of *= d
		}
		for i := range of {
			scales, zeros = append(scales, 1/float32(1+i%4)), append(zeros, int32(3+5*i%90))
		}
		run := func(constant bool) (y *ir.Tensor, rounding string) {
			g := &onnxpb.GraphProto{Output: []*onnxpb.ValueInfoProto{input("y", "n", "m")}, Node: []*onnxpb.NodeProto{quantise},
				Initializer: []*onnxpb.TensorProto{{Name: "scale", Dims: c.dims, DataType: 1, FloatData: scales},
					{Name: "zero", Dims: c.dims, DataType: c.elem, Int32Data: zeros}}}
			g.Output[0].Type.TensorType.ElemType = c.elem
			var in []*ir.Tensor
			if constant {
				g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: "x", Dims: []int64{rows, cols}, DataType: 1, FloatData: c.x})
			} else {
				g.Input, in = []*onnxpb.ValueInfoProto{input("x", "n", "m")}, []*ir.Tensor{ir.Floats(c.x, rows, cols)}
			}
			m, err := decode(t, g)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			out, err := m.Graph.Eval(in...)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			return out[0], m.Graph.Rounding
		}
		got, rounding := run(true)
		want, wantRounding := run(false)
		if rounding != wantRounding {
			t.Errorf("%s: constants' results are rounded to %q, an input's to %q", c.name, rounding, wantRounding)
		}
		if string(got.Data) != string(want.Data) {
			t.Errorf("%s: constants are quantised to %v, an input of them to %v", c.name, got.Data, want.Data)
		}
	}
}
