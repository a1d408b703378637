package onnx

import (
	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// f16, bf16 and types of fewer bits are how values are stored, not how they are computed: operators get f32 in their place, or i8 or u8,
// and what they give stays so until a Cast or the graph's output asks for the narrow type. Results are at least as near to the exact ones as
// with a rounding after every operator.

// asStored are the operators that take narrow types as they are.
var asStored = map[string]bool{"Cast": true, "CastLike": true, "BitCast": true, "Shape": true, "Size": true, "QuantizeLinear": true, "DequantizeLinear": true,
	"GatherBlockQuantized": true}

// widened gives an operator f32 for its narrow inputs.
func (r *reader) widened(n *onnxpb.NodeProto, in []*ir.Value, what string) ([]*ir.Value, error) {
	if asStored[n.OpType] {
		return in, nil
	}
	out := in
	for i, v := range in {
		if v == nil || !v.Elem.Stored() {
			continue
		}
		if &out[0] == &in[0] {
			out = append([]*ir.Value{}, in...)
		}
		if r.g.Rounding == "" && v.Elem.Float() {
			r.g.Rounding = "f16"
		}
		w, err := r.converted(v, wider(v.Elem), what)
		if err != nil {
			return nil, err
		}
		out[i] = w
	}
	return out, nil
}

// wider is the type that stands for a stored one.
func wider(e loop.Elem) loop.Elem {
	switch e {
	case loop.I4, loop.I2:
		return loop.I8
	case loop.U4, loop.U2:
		return loop.U8
	}
	return loop.F32
}

// converted is v in another type; the conversions of one value are made once.
func (r *reader) converted(v *ir.Value, to loop.Elem, what string) (*ir.Value, error) {
	key := conversion{v, to}
	if w := r.wide[key]; w != nil {
		return w, nil
	}
	c := &ir.Import{Graph: r.g, From: what}
	w, err := c.Emit1(op.Cast, op.CastAttr{To: to}, v)
	if err == nil {
		r.wide[key] = w
	}
	return w, err
}

type conversion struct {
	v  *ir.Value
	to loop.Elem
}
