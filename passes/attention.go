package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Attention recomposes softmax(q k' scale + mask) v from its products: scale on the scores or on either operand, before or as
// a division, mask or none, with or without the guard against rows that are masked whole.
var Attention = Rewrite("attention", "recomposes attention", Rule{"attention", func() *ir.Op { return op.MatMul }, attention})

func attention(c *Context, n *ir.Node) *ir.Patch {
	probs, guard := unguard(n.In[0]) // probs v
	probs, hidden := unhidden(probs)
	if r := by(probs, op.Reshape); r != nil {
		probs = r.In[0]
	}
	soft := by(probs, op.Softmax)
	if soft == nil || !ir.SameShape(probs.Shape, n.In[0].Shape) && !joinsLead(probs.Shape, n.In[0].Shape) {
		return nil
	}
	if c.Only(soft.Out[0]) == nil && !guard && hidden == nil {
		return c.Miss(n, "attention", "the probabilities are read elsewhere too")
	}
	rank := len(n.In[0].Shape)
	if rank < 3 || rank > 5 || len(n.In[1].Shape) != rank {
		return c.Miss(n, "attention", "operands of rank %d and %d, want [batch, heads, rows, columns], one axis less or one more", rank, len(n.In[1].Shape))
	}
	s := c.scores(soft.In[0])
	if hidden != nil {
		s, guard = c.hidden(soft.In[0], hidden), true
	}
	shape := n.In[0].Shape
	if s == nil || !ir.SameShape(s.prod.Out[0].Shape, shape) {
		return c.Miss(n, "attention", "the softmax's input is not a product of two operands plus a mask")
	}
	q, kq := c.unscaled(s.prod.In[0])
	kt, kk := c.unscaled(s.prod.In[1])
	if len(q.Shape) != rank || len(kt.Shape) != rank {
		return c.Miss(n, "attention", "scores of rank %d", len(s.prod.Out[0].Shape))
	}
	p := ir.NewPatch(n, soft, s.prod)
	v := n.In[1]
	for i := range rank - 2 {
		if q.Shape[i] != kt.Shape[i] && !kt.Shape[i].Is(1) || q.Shape[i] != v.Shape[i] && !v.Shape[i].Is(1) {
			return c.Miss(n, "attention", "axis %d of queries is broadcast to keys or values", i)
		}
	}
	kt, v = withLead(p, kt, q.Shape), withLead(p, v, q.Shape)
	mask, ok := s.mask(p, shape)
	if !ok {
		return c.Miss(n, "attention", "a mask is added to scores of another shape")
	}
	if s.perHead != nil {
		q = p.Emit1(op.Mul, nil, q, s.perHead)
	}
	switch rank {
	case 3:
		q, kt, v, mask = withHeads(p, q, 3), withHeads(p, kt, 3), withHeads(p, v, 3), withHeads(p, mask, 3)
	case 5:
		lead := q.Shape[:2]
		if mask != nil {
			if mask = splitMask(p, mask, shape, append([]sym.Dim{lead[0].Mul(lead[1])}, shape[2:]...)); mask == nil {
				return c.Miss(n, "attention", "a mask of rank %d for scores of rank 5", len(s.masks[0].v.Shape))
			}
		}
		q, kt, v = joinedLead(p, q), joinedLead(p, kt), joinedLead(p, v)
	}
	k := p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 1, 3, 2)}, kt)
	y := p.Emit1(op.Attention, op.AttentionAttr{Scale: float32(s.scale * kq * kk), Cap: float32(s.cap), Guard: guard}, q, k, v, mask)
	if rank != 4 {
		y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y)
	}
	return p.Replace(n.Out[0], y)
}

// joinsLead reports whether one shape is another with its first two axes as one.
func joinsLead(from, to []sym.Dim) bool {
	return len(from) == len(to)+1 && len(to) > 0 && from[0].Mul(from[1]) == to[0] && ir.SameShape(from[2:], to[1:])
}

// withLead broadcasts all but the last two axes to a shape's: one head of keys and values for all queries (Shazeer, 2019).
func withLead(p *ir.Patch, v *ir.Value, shape []sym.Dim) *ir.Value {
	lead := len(shape) - 2
	if ir.SameShape(v.Shape[:lead], shape[:lead]) {
		return v
	}
	to := append(append([]sym.Dim{}, shape[:lead]...), v.Shape[lead:]...)
	return p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(to)}, v)
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

// scores is a softmax's input taken apart: product × scale × perHead, held within cap, + masks.
type scores struct {
	prod    *ir.Node
	scale   float64
	cap     float64   // cap tanh(x / cap); 0 for none
	perHead *ir.Value // a factor for each head [heads, 1, 1], or nil
	masks   []addend
}

// addend is a mask and the shape of the sum that it was added in, which may be the scores' with the first axis in two, as where windows
// have masks of their own.
type addend struct {
	v    *ir.Value
	in   []sym.Dim
	low  float32 // if not 0, v is of bools: low is added where it is false or, if not keep, true
	keep bool
}

// value is what is added.
func (a *addend) value(p *ir.Patch) *ir.Value {
	if a.low == 0 {
		return a.v
	}
	yes, no := ir.Scalar(loop.F32, 0), ir.Scalar(loop.F32, float64(a.low))
	if !a.keep {
		yes, no = no, yes
	}
	if v := folded(op.Where, nil, a.v, yes, no); v != nil {
		return v
	}
	return p.Emit1(op.Where, nil, a.v, yes, no)
}

// scores takes the softmax's input apart; nil if it is something else.
func (c *Context) scores(v *ir.Value) *scores {
	if s := c.product(v); s != nil {
		return s
	}
	if r := by(v, op.Reshape); r != nil {
		return c.scores(r.In[0])
	}
	if w := by(v, op.Where); w != nil {
		return c.filled(w)
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
			s.masks = append(s.masks, addend{v: o[1], in: v.Shape})
			return s
		}
	}
	return nil
}

// filled is scores with others in the place of some: what is so far below all scores that adding it is the same as putting it there.
func (c *Context) filled(w *ir.Node) *scores {
	for i, keep := range []int{1, 2} {
		low, ok := scalar(w.In[3-keep])
		if !ok || low > -1e30 || !ir.SameShape(w.In[keep].Shape, w.Out[0].Shape) {
			continue
		}
		s := c.scores(w.In[keep])
		if s == nil || len(s.masks) >= 3 {
			continue
		}
		s.masks = append(s.masks, addend{w.In[0], w.Out[0].Shape, float32(low), i == 0})
		return s
	}
	return nil
}

// product is scores without a mask.
func (c *Context) product(v *ir.Value) *scores {
	x, k := c.unscaled(v)
	if m := by(x, op.MatMul); m != nil {
		return &scores{prod: m, scale: k}
	}
	if t := by(x, op.Tanh); t != nil {
		y, inner := c.unscaled(t.In[0])
		if m := by(y, op.MatMul); m != nil && k != 0 {
			return &scores{prod: m, scale: inner * k, cap: k}
		}
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
		m := a.value(p)
		if !ir.SameShape(a.in, shape) {
			if m = splitMask(p, m, a.in, shape); m == nil {
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

// splitMask is a mask of scores [in] as one of scores of a shape that has the first two axes as one.
func splitMask(p *ir.Patch, v *ir.Value, in, shape []sym.Dim) *ir.Value {
	if !joinsLead(in, shape) || len(v.Shape) > len(in) {
		return nil
	}
	full := make([]sym.Dim, len(in))
	for i := range full {
		full[i] = sym.Const(1)
		if k := i - len(full) + len(v.Shape); k >= 0 {
			full[i] = v.Shape[k]
		}
	}
	if full[0].Is(1) && full[1].Is(1) {
		return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(full[1:])}, v)
	}
	full[0], full[1] = in[0], in[1]
	wide := p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(full)}, v)
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(append([]sym.Dim{shape[0]}, full[2:]...))}, wide)
}

// unscaled looks through products with and divisions by constant scalars, and sums with 0, which matter to no product.
func (c *Context) unscaled(v *ir.Value) (*ir.Value, float64) {
	k := 1.0
	for {
		if k, zero := plusConst(v); zero != nil && k == 0 && ir.SameShape(zero.Shape, v.Shape) {
			v = zero
		}
		x, by, _ := isScale(v, op.Mul, op.Div)
		if x == nil || !ir.SameShape(x.Shape, v.Shape) {
			return v, k
		}
		v, k = x, k*by
	}
}
