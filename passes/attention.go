package passes

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Attention recomposes softmax(q k' scale + mask) v from its products: scale on the scores or on either operand, before or as
// a division, mask or none, with or without the guard against rows that are masked whole.
var Attention = Rewrite("attention", "recomposes attention", Rule{"attention", func() *ir.Op { return op.MatMul }, attention})

func attention(c *Context, n *ir.Node) *ir.Patch {
	probs, guard := unguard(n.In[0]) // probs v
	soft := by(probs, op.Softmax)
	if soft == nil {
		return nil
	}
	if c.Only(soft.Out[0]) == nil && !guard {
		return c.Miss(n, "attention", "the probabilities are read elsewhere too")
	}
	rank := len(n.In[0].Shape)
	if rank != 3 && rank != 4 || len(n.In[1].Shape) != rank {
		return c.Miss(n, "attention", "operands of rank %d and %d, want [batch, heads, rows, columns] or [batch·heads, rows, columns]", rank, len(n.In[1].Shape))
	}
	scores, mask, scale := c.scores(soft.In[0]) // scores scale + mask
	if scores == nil {
		return c.Miss(n, "attention", "the softmax's input is not a product of two operands plus a mask")
	}
	q, kq := c.unscaled(scores.In[0])
	kt, kk := c.unscaled(scores.In[1])
	if len(q.Shape) != rank || len(kt.Shape) != rank {
		return c.Miss(n, "attention", "scores of rank %d", len(scores.Out[0].Shape))
	}
	for i := range rank - 2 {
		if q.Shape[i] != kt.Shape[i] || q.Shape[i] != n.In[1].Shape[i] {
			return c.Miss(n, "attention", "axis %d is broadcast between queries, keys and values", i)
		}
	}
	p := ir.NewPatch(n, soft, scores)
	v := n.In[1]
	if rank == 3 {
		q, kt, v, mask = withHeads(p, q, 3), withHeads(p, kt, 3), withHeads(p, v, 3), withHeads(p, mask, 3)
	}
	k := p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 1, 3, 2)}, kt)
	y := p.Emit1(op.Attention, op.AttentionAttr{Scale: float32(scale * kq * kk), Guard: guard}, q, k, v, mask)
	if rank == 3 {
		y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y)
	}
	return p.Replace(n.Out[0], y)
}

// withHeads gives a value of that rank an axis of one head behind its first; smaller ones broadcast as they are.
func withHeads(p *ir.Patch, v *ir.Value, rank int) *ir.Value {
	if v == nil || len(v.Shape) < rank {
		return v
	}
	to := append([]sym.Dim{v.Shape[0], sym.Const(1)}, v.Shape[1:]...)
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(to)}, v)
}

// unguard looks through where(isnan(p), 0, p).
func unguard(v *ir.Value) (*ir.Value, bool) {
	w := by(v, op.Where)
	if w == nil {
		return v, false
	}
	nan := by(w.In[0], op.IsNaN)
	zero, ok := scalar(w.In[1])
	if nan == nil || !ok || zero != 0 || nan.In[0] != w.In[2] {
		return v, false
	}
	return w.In[2], true
}

// scores takes the softmax's input apart: the product, the mask and the factor between them.
func (c *Context) scores(v *ir.Value) (prod *ir.Node, mask *ir.Value, scale float64) {
	if add := by(v, op.Add); add != nil {
		for _, o := range operands(add) {
			x, k := c.unscaled(o[0])
			if m := by(x, op.MatMul); m != nil && ir.SameShape(x.Shape, v.Shape) {
				return m, o[1], k
			}
		}
		return nil, nil, 0
	}
	x, k := c.unscaled(v)
	return by(x, op.MatMul), nil, k
}

// unscaled looks through products with and divisions by constant scalars.
func (c *Context) unscaled(v *ir.Value) (*ir.Value, float64) {
	k := 1.0
	for {
		x, by, _ := isScale(v, op.Mul, op.Div)
		if x == nil || !ir.SameShape(x.Shape, v.Shape) {
			return v, k
		}
		v, k = x, k*by
	}
}
