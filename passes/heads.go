package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Heads undoes what exporters do to fit attention's products into three axes: batch and heads are joined before a product and split
// after it, and transposed with axes of size 1 between. Products get both axes again, so that the passes behind see four.
var Heads = Rewrite("heads", "gives products of joined batches and heads both axes again",
	Rule{Root: func() *ir.Op { return op.Transpose }, Try: withoutOnes},
	Rule{Root: func() *ir.Op { return op.Transpose }, Try: exchangedProduct},
	Rule{Root: func() *ir.Op { return op.MatMul }, Try: splitBatch},
	Rule{Root: func() *ir.Op { return op.Softmax }, Try: splitRows},
	Rule{Root: func() *ir.Op { return op.Add }, Try: biasOfHeads},
	Rule{Root: func() *ir.Op { return op.Reshape }, Try: simplifyReshape},
	Rule{Root: func() *ir.Op { return op.Transpose }, Try: simplifyTranspose})

// withoutOnes transposes five axes or more without those of size 1 behind the first, where a reshape before or after can leave them out
// or put them back: at least one that the transposition moves, or has moved axes in front of, as splitAgain splits the others off again.
func withoutOnes(c *Context, n *ir.Node) *ir.Patch {
	x, perm := n.In[0], n.Attr.(op.TransposeAttr).Perm.List()
	next := c.Only(n.Out[0])
	if len(perm) < 5 || by(x, op.Reshape) == nil && (next == nil || next.Op != op.Reshape) {
		return nil
	}
	var thin []sym.Dim
	place := make([]int64, len(perm)) // of an axis among those that stay; -1 for the others
	moved, gains := false, false
	for i, d := range x.Shape {
		place[i] = int64(len(thin))
		moved = moved || perm[i] != int64(i)
		if i > 0 && d.Is(1) {
			place[i], gains = -1, gains || moved
			continue
		}
		thin = append(thin, d)
	}
	if !gains {
		return nil
	}
	var order []int64
	for _, a := range perm {
		if place[a] >= 0 {
			order = append(order, place[a])
		}
	}
	p := ir.NewPatch(n)
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(thin)}, x)
	y = p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(order...)}, y)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y))
}

// exchangedProduct computes (x y)', or that times a constant, as y' x'.
func exchangedProduct(c *Context, n *ir.Node) *ir.Patch {
	perm := n.Attr.(op.TransposeAttr).Perm.List()
	rank := len(perm)
	if rank < 3 || c.Only(n.In[0]) == nil || !slices.Equal(perm, swapped(rank)) {
		return nil
	}
	v, scale := n.In[0], (*ir.Node)(nil)
	if x, _, by := isScale(v, op.Mul, op.Div); x != nil && c.Only(x) != nil {
		v, scale = x, by
	}
	m := by(v, op.MatMul)
	if m == nil || len(m.In[0].Shape) != rank || len(m.In[1].Shape) != rank || m.In[0].Const != nil || m.In[1].Const != nil {
		return nil
	}
	exchange := op.TransposeAttr{Perm: n.Attr.(op.TransposeAttr).Perm}
	p := ir.NewPatch(n, m)
	y := p.Emit1(op.MatMul, nil, p.Emit1(op.Transpose, exchange, m.In[1]), p.Emit1(op.Transpose, exchange, m.In[0]))
	if scale != nil {
		in := slices.Clone(scale.In)
		in[slices.Index(in, v)] = y
		y = p.Emit1(scale.Op, scale.Attr, in...)
	}
	return p.Replace(n.Out[0], y)
}

// swapped is the permutation of so many axes that exchanges the last two.
func swapped(rank int) []int64 {
	perm := make([]int64, rank)
	for i := range perm {
		perm[i] = int64(i)
	}
	perm[rank-1], perm[rank-2] = perm[rank-2], perm[rank-1]
	return perm
}

// joinedBatch is the value of four axes of which v is the one with the first two joined, perhaps with the last two exchanged.
func joinedBatch(v *ir.Value) (x *ir.Value, exchanged bool) {
	if t := by(v, op.Transpose); t != nil && t.Attr.(op.TransposeAttr).Perm == ir.MakeInts(0, 2, 1) {
		v, exchanged = t.In[0], true
	}
	r := by(v, op.Reshape)
	if r == nil || len(r.In[0].Shape) != 4 || !joinsLead(r.In[0].Shape, v.Shape) {
		return nil, false
	}
	return r.In[0], exchanged
}

// joinedGroups is the value [batch, heads, group, rows, columns] of which v is the one with the first two joined and the next two.
func joinedGroups(v *ir.Value) *ir.Value {
	r := by(v, op.Reshape)
	if r == nil || len(r.In[0].Shape) != 5 || len(v.Shape) != 3 {
		return nil
	}
	s := r.In[0].Shape
	if s[0].Mul(s[1]) != v.Shape[0] || s[2].Mul(s[3]) != v.Shape[1] || s[4] != v.Shape[2] {
		return nil
	}
	return r.In[0]
}

// splitBatch multiplies over batch and heads what both operands have joined; groups of heads have their rows joined too.
func splitBatch(_ *Context, n *ir.Node) *ir.Patch {
	if len(n.Out[0].Shape) != 3 {
		return nil
	}
	p := ir.NewPatch(n)
	y, exchanged := joinedBatch(n.In[1])
	if y == nil {
		return nil
	}
	if exchanged {
		y = p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 1, 3, 2)}, y)
	}
	x, exchanged := joinedBatch(n.In[0])
	if x == nil {
		if x = joinedGroups(n.In[0]); x == nil {
			return nil
		}
		shared := append(append([]sym.Dim{}, y.Shape[:2]...), sym.Const(1), y.Shape[2], y.Shape[3])
		y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(shared)}, y)
	}
	if exchanged {
		x = p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 1, 3, 2)}, x)
	}
	if !ir.SameShape(x.Shape[:2], y.Shape[:2]) {
		return nil
	}
	z := p.Emit1(op.MatMul, nil, x, y)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, z))
}

// splitRows normalises rows before the axes in front of them are joined.
func splitRows(_ *Context, n *ir.Node) *ir.Patch {
	x, _ := joinedBatch(n.In[0])
	if x == nil || by(n.In[0], op.Reshape) == nil {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, p.Emit1(op.Softmax, n.Attr, x)))
}

// biasOfHeads adds a bias of [heads, size] to the columns that were split into heads before it.
func biasOfHeads(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		r, bias := by(o[0], op.Reshape), o[1]
		if r == nil || c.Only(o[0]) == nil || bias.Const == nil || len(r.In[0].Shape) == 0 || !ir.SameShape(n.Out[0].Shape, o[0].Shape) {
			continue
		}
		own := bias.Shape
		for len(own) > 0 && own[0].Is(1) {
			own = own[1:]
		}
		split, whole := len(o[0].Shape)-len(own), r.In[0].Shape
		if len(own) < 2 || split < 0 || !ir.SameShape(o[0].Shape[split:], own) || whole[len(whole)-1] != sym.Product(own) {
			continue
		}
		vector := &ir.Tensor{Elem: bias.Const.Elem, Shape: []int64{int64(bias.Const.Len())}, Data: bias.Const.Data}
		p := ir.NewPatch(n, r)
		y := p.Emit1(op.Add, nil, r.In[0], ir.ConstValue("", vector))
		return p.Replace(n.Out[0], p.Emit1(op.Reshape, r.Attr, y))
	}
	return nil
}
