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
	if rank < 3 || rank > 5 || len(n.In[1].Shape) != rank {
		return c.Miss(n, "attention", "operands of rank %d and %d, want [batch, heads, rows, columns], one axis less or one more", rank, len(n.In[1].Shape))
	}
	s := c.scores(soft.In[0])
	if s == nil || !ir.SameShape(s.prod.Out[0].Shape, soft.In[0].Shape) {
		return c.Miss(n, "attention", "the softmax's input is not a product of two operands plus a mask")
	}
	q, kq := c.unscaled(s.prod.In[0])
	kt, kk := c.unscaled(s.prod.In[1])
	if len(q.Shape) != rank || len(kt.Shape) != rank {
		return c.Miss(n, "attention", "scores of rank %d", len(s.prod.Out[0].Shape))
	}
	for i := range rank - 2 {
		if q.Shape[i] != kt.Shape[i] || q.Shape[i] != n.In[1].Shape[i] {
			return c.Miss(n, "attention", "axis %d is broadcast between queries, keys and values", i)
		}
	}
	p := ir.NewPatch(n, soft, s.prod)
	mask, ok := s.mask(p, soft.In[0].Shape)
	if !ok {
		return c.Miss(n, "attention", "a mask is added to scores of another shape")
	}
	if s.perHead != nil {
		q = p.Emit1(op.Mul, nil, q, s.perHead)
	}
	v := n.In[1]
	switch rank {
	case 3:
		q, kt, v, mask = withHeads(p, q, 3), withHeads(p, kt, 3), withHeads(p, v, 3), withHeads(p, mask, 3)
	case 5:
		lead := q.Shape[:2]
		if mask != nil {
			shape := append([]sym.Dim{lead[0].Mul(lead[1])}, soft.In[0].Shape[2:]...)
			if mask = splitMask(p, addend{mask, soft.In[0].Shape}, shape); mask == nil {
				return c.Miss(n, "attention", "a mask of rank %d for scores of rank 5", len(s.masks[0].v.Shape))
			}
		}
		q, kt, v = joinedLead(p, q), joinedLead(p, kt), joinedLead(p, v)
	}
	k := p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 1, 3, 2)}, kt)
	y := p.Emit1(op.Attention, op.AttentionAttr{Scale: float32(s.scale * kq * kk), Guard: guard}, q, k, v, mask)
	if rank != 4 {
		y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y)
	}
	return p.Replace(n.Out[0], y)
}

// joinedLead is a value with its first two axes as one.
func joinedLead(p *ir.Patch, v *ir.Value) *ir.Value {
	to := append([]sym.Dim{v.Shape[0].Mul(v.Shape[1])}, v.Shape[2:]...)
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(to)}, v)
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

// scores is a softmax's input taken apart: product × scale × perHead + masks.
type scores struct {
	prod    *ir.Node
	scale   float64
	perHead *ir.Value // a factor for each head [heads, 1, 1], or nil
	masks   []addend
}

// addend is a mask and the shape of the sum that it was added in, which may be the scores' with the first axis in two, as where windows
// have masks of their own.
type addend struct {
	v  *ir.Value
	in []sym.Dim
}

// scores takes the softmax's input apart; nil if it is something else.
func (c *Context) scores(v *ir.Value) *scores {
	if s := c.product(v); s != nil {
		return s
	}
	if r := by(v, op.Reshape); r != nil {
		return c.scores(r.In[0])
	}
	add := by(v, op.Add)
	if add == nil {
		return nil
	}
	for _, o := range operands(add) {
		if !ir.SameShape(o[0].Shape, v.Shape) {
			continue
		}
		if s := c.scores(o[0]); s != nil && len(s.masks) < 3 {
			s.masks = append(s.masks, addend{o[1], v.Shape})
			return s
		}
	}
	return nil
}

// product is scores without a mask.
func (c *Context) product(v *ir.Value) *scores {
	x, k := c.unscaled(v)
	if m := by(x, op.MatMul); m != nil {
		return &scores{prod: m, scale: k}
	}
	mul := by(x, op.Mul)
	if mul == nil {
		return nil
	}
	for _, o := range operands(mul) {
		y, k2 := c.unscaled(o[0])
		f := o[1].Shape
		if m := by(y, op.MatMul); m != nil && ir.SameShape(y.Shape, x.Shape) && len(f) >= 2 && len(f) <= len(x.Shape) && f[len(f)-1].Is(1) && f[len(f)-2].Is(1) {
			return &scores{prod: m, scale: k * k2, perHead: o[1]}
		}
	}
	return nil
}

// mask is the sum of the masks for scores of a shape, nil if there are none; false if one does not fit.
func (s *scores) mask(p *ir.Patch, shape []sym.Dim) (sum *ir.Value, ok bool) {
	for _, a := range s.masks {
		m := a.v
		if !ir.SameShape(a.in, shape) {
			if m = splitMask(p, a, shape); m == nil {
				return nil, false
			}
		}
		if sum == nil {
			sum = m
		} else {
			sum = p.Emit1(op.Add, nil, sum, m)
		}
	}
	return sum, true
}

// splitMask is a mask of scores whose first axis was two, as one of scores of the given shape.
func splitMask(p *ir.Patch, a addend, shape []sym.Dim) *ir.Value {
	if len(a.in) != len(shape)+1 || a.in[0].Mul(a.in[1]) != shape[0] || !ir.SameShape(a.in[2:], shape[1:]) || len(a.v.Shape) > len(a.in) {
		return nil
	}
	full := make([]sym.Dim, len(a.in))
	for i := range full {
		full[i] = sym.Const(1)
		if k := i - len(full) + len(a.v.Shape); k >= 0 {
			full[i] = a.v.Shape[k]
		}
	}
	if full[0].Is(1) && full[1].Is(1) {
		return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(full[1:])}, a.v)
	}
	full[0], full[1] = a.in[0], a.in[1]
	wide := p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(full)}, a.v)
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(append([]sym.Dim{shape[0]}, full[2:]...))}, wide)
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
