package onnx

import (
	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// f16 and bf16 are how values are stored, not how they are computed: every operator but Cast and BitCast gets f32 in their place, and
// what it gives stays f32 until a Cast or the graph's output asks for the narrow type. Results are at least as near to the exact ones as
// with a rounding after every operator.

// asStored are the operators that take narrow floats as they are.
var asStored = map[string]bool{"Cast": true, "BitCast": true, "Shape": true, "Size": true}

// widened gives an operator f32 for its narrow inputs.
func (r *reader) widened(n *onnxpb.NodeProto, in []*ir.Value, what string) ([]*ir.Value, error) {
	if asStored[n.OpType] {
		return in, nil
	}
	out := in
	for i, v := range in {
		if v == nil || !narrow(v.Elem) {
			continue
		}
		if &out[0] == &in[0] {
			out = append([]*ir.Value{}, in...)
		}
		if r.g.Rounding == "" {
			r.g.Rounding = "f16"
		}
		w, err := r.converted(v, loop.F32, what)
		if err != nil {
			return nil, err
		}
		out[i] = w
	}
	return out, nil
}

func narrow(e loop.Elem) bool { return e == loop.F16 || e == loop.BF16 }

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
