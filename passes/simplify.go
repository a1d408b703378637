package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Simplify removes steps that do nothing and merges moves: reshapes of reshapes, transposes of transposes, additions of zero,
// products with one, casts to the same type, broadcasts that an elementwise reader does itself.
var Simplify = Rewrite("simplify", "removes steps that do nothing and merges moves", simplifyRules...)

// Simplify2 is Simplify again, after the attention pass.
var Simplify2 = Rewrite("simplify2", "simplify, after attention", simplifyRules...)

// Simplify3 is Simplify again, after the windows pass.
var Simplify3 = Rewrite("simplify3", "simplify, after windows", simplifyRules...)

var simplifyRules = []Rule{
	{Root: func() *ir.Op { return op.Reshape }, Try: simplifyReshape},
	{Root: func() *ir.Op { return op.Transpose }, Try: simplifyTranspose},
	{Root: func() *ir.Op { return op.Cast }, Try: simplifyCast},
	{Root: func() *ir.Op { return op.Add }, Try: func(_ *Context, n *ir.Node) *ir.Patch { return dropNeutral(n, 0) }},
	{Root: func() *ir.Op { return op.Mul }, Try: func(_ *Context, n *ir.Node) *ir.Patch { return dropNeutral(n, 1) }},
	{Root: func() *ir.Op { return op.Div }, Try: dropDivisor},
	{Root: func() *ir.Op { return op.Expand }, Try: dropExpand},
	{Try: sinkExpand},
}

func simplifyReshape(_ *Context, n *ir.Node) *ir.Patch {
	x := n.In[0]
	if ir.SameShape(x.Shape, n.Out[0].Shape) {
		return ir.NewPatch(n).Replace(n.Out[0], x)
	}
	if inner := by(x, op.Reshape); inner != nil {
		p := ir.NewPatch(n, inner)
		return p.Replace(n.Out[0], p.Emit1(op.Reshape, n.Attr, inner.In[0]))
	}
	if p := stacked(n); p != nil {
		return p
	}
	return splitAgain(n)
}

// stacked puts parts together along an axis where they were stacked along a new one in front of it and both then joined.
func stacked(n *ir.Node) *ir.Patch {
	cat := by(n.In[0], op.Concat)
	if cat == nil {
		return nil
	}
	axis := int(cat.Attr.(op.ConcatAttr).Axis)
	shape, to := n.In[0].Shape, n.Out[0].Shape
	if axis+1 >= len(shape) || len(to) != len(shape)-1 || !ir.SameShape(to[:axis], shape[:axis]) || !ir.SameShape(to[axis+1:], shape[axis+2:]) {
		return nil
	}
	p := ir.NewPatch(n, cat)
	var parts []*ir.Value
	for _, v := range cat.In {
		if !v.Shape[axis].Is(1) {
			return nil
		}
		thin := append(append([]sym.Dim{}, v.Shape[:axis]...), v.Shape[axis+1:]...)
		parts = append(parts, p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(thin)}, v))
	}
	return p.Replace(n.Out[0], p.Emit1(op.Concat, cat.Attr, parts...))
}

// splitAgain replaces leading axes that are merged, kept as one by a transpose and split again, into as many or fewer: the transpose does without.
func splitAgain(n *ir.Node) *ir.Patch {
	t := by(n.In[0], op.Transpose)
	if t == nil || by(t.In[0], op.Reshape) == nil {
		return nil
	}
	r := t.In[0].Def
	x, merged, to := r.In[0], r.Out[0].Shape, n.Out[0].Shape
	perm := t.Attr.(op.TransposeAttr).Perm.List()
	more, tail := len(to)-len(merged), len(x.Shape)-len(merged)+1
	if len(perm) == 0 || perm[0] != 0 || more < 1 || tail <= more || !ir.SameShape(x.Shape[tail:], merged[1:]) || !ir.SameShape(to[more+1:], t.Out[0].Shape[1:]) {
		return nil
	}
	wide := make([]int64, 0, len(to))
	for i := range more {
		wide = append(wide, int64(i))
	}
	for _, a := range perm {
		wide = append(wide, a+int64(more))
	}
	p := ir.NewPatch(n, t, r)
	split := append(append([]sym.Dim{}, to[:more+1]...), merged[1:]...)
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(split)}, x)
	return p.Replace(n.Out[0], p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(wide...)}, y))
}

func simplifyTranspose(_ *Context, n *ir.Node) *ir.Patch {
	perm := n.Attr.(op.TransposeAttr).Perm.List()
	if identity(perm) {
		return ir.NewPatch(n).Replace(n.Out[0], n.In[0])
	}
	if movesOnlyOnes(n.In[0].Shape, perm) {
		p := ir.NewPatch(n)
		return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, n.In[0]))
	}
	inner := by(n.In[0], op.Transpose)
	if inner == nil {
		return nil
	}
	first := inner.Attr.(op.TransposeAttr).Perm.List()
	both := make([]int64, len(perm))
	for i, p := range perm {
		both[i] = first[p]
	}
	p := ir.NewPatch(n, inner)
	return p.Replace(n.Out[0], p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(both...)}, inner.In[0]))
}

func identity(perm []int64) bool {
	for i, p := range perm {
		if int64(i) != p {
			return false
		}
	}
	return true
}

// movesOnlyOnes reports whether the axes other than those of size 1 keep their order.
func movesOnlyOnes(shape []sym.Dim, perm []int64) bool {
	last := int64(-1)
	for _, p := range perm {
		if shape[p].Is(1) {
			continue
		}
		if p < last {
			return false
		}
		last = p
	}
	return true
}

// simplifyCast drops a cast to the type its input has, and the inner one of two casts that only widens.
func simplifyCast(_ *Context, n *ir.Node) *ir.Patch {
	x, to := n.In[0], n.Attr.(op.CastAttr).To
	if x.Elem == to {
		return ir.NewPatch(n).Replace(n.Out[0], x)
	}
	inner := by(x, op.Cast)
	if inner == nil || inner.In[0].Elem != loop.Bool || x.Elem == loop.Bool {
		return nil
	}
	p := ir.NewPatch(n, inner)
	return p.Replace(n.Out[0], p.Emit1(op.Cast, n.Attr, inner.In[0]))
}

func dropNeutral(n *ir.Node, neutral float64) *ir.Patch {
	for _, o := range operands(n) {
		k, ok := scalar(o[1])
		if ok && k == neutral && ir.SameShape(o[0].Shape, n.Out[0].Shape) && neutralIsExact(o[1], neutral) {
			return ir.NewPatch(n).Replace(n.Out[0], o[0])
		}
	}
	return nil
}

// neutralIsExact refuses x + 0 for floats, which turns -0 into 0.
func neutralIsExact(v *ir.Value, neutral float64) bool { return neutral != 0 || !v.Elem.Float() }

func dropDivisor(_ *Context, n *ir.Node) *ir.Patch {
	if k, ok := scalar(n.In[1]); ok && k == 1 && ir.SameShape(n.In[0].Shape, n.Out[0].Shape) {
		return ir.NewPatch(n).Replace(n.Out[0], n.In[0])
	}
	return nil
}

func dropExpand(_ *Context, n *ir.Node) *ir.Patch {
	if !ir.SameShape(n.In[0].Shape, n.Out[0].Shape) {
		return nil
	}
	return ir.NewPatch(n).Replace(n.Out[0], n.In[0])
}

// sinkExpand gives an elementwise operator what an operand repeats, where it broadcasts that itself; one of a single operand is done
// before the repetition. Numbers that others read repeated stay so for this one: a product takes them as its residual.
func sinkExpand(c *Context, n *ir.Node) *ir.Patch {
	if n.Op.Elem == nil || len(n.Out) != 1 {
		return nil
	}
	for i, v := range n.In {
		e := by(v, op.Expand)
		if e == nil {
			continue
		}
		in := append([]*ir.Value{}, n.In...)
		in[i] = e.In[0]
		shapes := [][]sym.Dim{}
		for _, v := range in {
			shapes = append(shapes, v.Shape)
		}
		p := ir.NewPatch(n, e)
		s, err := ir.BroadcastShapes(shapes...)
		if err == nil && ir.SameShape(s, n.Out[0].Shape) && (c.Only(v) != nil || v.Elem != loop.F32) {
			return p.Replace(n.Out[0], p.Emit1(n.Op, n.Attr, in...))
		}
		if len(n.In) == 1 {
			return p.Replace(n.Out[0], p.Emit1(op.Expand, e.Attr, p.Emit1(n.Op, n.Attr, in...)))
		}
	}
	return nil
}
