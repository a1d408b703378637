package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
)

func init() { ir.FromONNX("ai.onnx.preview", "FlexAttention", 1, readFlexAttention) }

// readFlexAttention reads attention whose scores and probabilities graphs of the model's own may change (ai.onnx.preview, version 1).
func readFlexAttention(c *ir.Import) error {
	b := &builder{c: c}
	q, k, v := b.need(0), b.need(1), b.need(2)
	if b.err != nil {
		return b.err
	}
	if len(q.Shape) != 4 || len(k.Shape) != 4 || len(v.Shape) != 4 {
		return fmt.Errorf("operands of shapes %v, %v, %v, want four axes each", q.Shape, k.Shape, v.Shape)
	}
	stored, wide := q.Elem, loop.F32
	if stored == loop.F64 {
		wide = loop.F64
	}
	inner := wide
	if p := c.Int("softmax_precision", 0); p != 0 {
		var err error
		if inner, err = ir.ElemFromONNX(p); err != nil {
			return err
		}
	}
	scale := b.headScale("FlexAttention", float64(c.Float("scale", 0)), q.Shape[3])
	q, k, v = b.cast(q, wide), b.cast(b.grouped(k, q), wide), b.cast(b.grouped(v, q), wide)
	s := b.mul(b.do(MatMul, nil, q, b.transpose(k, 0, 1, 3, 2)), b.like(q, scale))
	s = b.modified("score_mod", b.cast(s, inner))
	p := b.modified("prob_mod", b.do(Softmax, nil, s))
	return b.done(b.cast(b.do(MatMul, nil, b.cast(p, wide), v), stored))
}

// modified is what the graph in an attribute makes of v, which keeps its type and shape; v if there is none.
func (b *builder) modified(attr string, v *ir.Value) *ir.Value {
	if b.err != nil || b.c.Attrs[attr].Body == nil {
		return v
	}
	out, err := b.c.Attrs[attr].Body([]*ir.Value{v})
	if err != nil {
		b.err = err
		return nil
	}
	if len(out) != 1 || out[0].Sequence || out[0].Elem != v.Elem || !ir.SameShape(out[0].Shape, v.Shape) {
		b.err = fmt.Errorf("%s does not keep the type and shape %v%v", attr, v.Elem, v.Shape)
		return nil
	}
	return out[0]
}
