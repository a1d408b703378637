package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Affine works out integer tensors whose elements are affine in their own indices, which is what exporters make of an attention
// mask's positions: comparisons of such numbers that always hold become constants, and gathers at every index in order become
// reshapes and broadcasts.
var Affine = Rewrite("affine", "works out indices that only count",
	Rule{Root: func() *ir.Op { return op.LessOrEqual }, Try: alwaysTrue},
	Rule{Root: func() *ir.Op { return op.And }, Try: andTrue},
	Rule{Root: func() *ir.Op { return op.Gather }, Try: gatherInOrder},
	Rule{Root: func() *ir.Op { return op.GatherND }, Try: gatherEveryIndex})

// affine is an integer tensor: element (i, j, …) is start + i*step[0] + j*step[1] + ….
type affine struct {
	start sym.Dim
	step  []sym.Dim
}

// affineOf works a value out; steps along axes of size 1 are 0.
func affineOf(v *ir.Value) (a affine, ok bool) {
	if v == nil || !v.Elem.Integer() {
		return a, false
	}
	if v.Const != nil {
		return affineConst(v)
	}
	if v.Def == nil {
		return a, false
	}
	switch n := v.Def; n.Op {
	case op.Iota:
		at := n.Attr.(op.IotaAttr)
		a = affine{at.Start.List()[0], at.Step.List()}
	case op.Dims:
		list := n.Attr.(op.DimsAttr).List.List()
		if len(list) != 1 {
			return a, false
		}
		a = affine{list[0], make([]sym.Dim, len(v.Shape))}
	case op.Reshape:
		a, ok = affineReshape(n)
	case op.Expand:
		a, ok = affineExpand(n.In[0], len(v.Shape))
	case op.Add, op.Sub, op.Mul:
		a, ok = affineArithmetic(n)
	default:
		return a, false
	}
	if n := v.Def.Op; n == op.Iota || n == op.Dims {
		ok = true
	}
	for i := range a.step {
		if v.Shape[i].Is(1) {
			a.step[i] = sym.Const(0)
		}
	}
	return a, ok
}

func affineConst(v *ir.Value) (affine, bool) {
	if v.Const.Len() != 1 {
		return affine{}, false
	}
	return affine{sym.Const(v.Const.At(0).I), make([]sym.Dim, len(v.Shape))}, true
}

// affineReshape follows a reshape that only adds or removes axes of size 1.
func affineReshape(n *ir.Node) (affine, bool) {
	in, ok := affineOf(n.In[0])
	if !ok {
		return in, false
	}
	out := affine{start: in.start}
	from := 0
	skip := func() {
		for from < len(in.step) && n.In[0].Shape[from].Is(1) {
			from++
		}
	}
	for _, d := range n.Out[0].Shape {
		if d.Is(1) {
			out.step = append(out.step, sym.Const(0))
			continue
		}
		skip()
		if from == len(in.step) || n.In[0].Shape[from].Same(d) != sym.True {
			return out, false
		}
		out.step = append(out.step, in.step[from])
		from++
	}
	skip()
	return out, from == len(in.step)
}

// affineExpand puts new leading axes in front.
func affineExpand(v *ir.Value, rank int) (affine, bool) {
	a, ok := affineOf(v)
	if !ok || len(a.step) > rank {
		return a, false
	}
	return affine{a.start, append(make([]sym.Dim, rank-len(a.step)), a.step...)}, true
}

func affineArithmetic(n *ir.Node) (out affine, ok bool) {
	if n.Out[0].Elem != loop.I64 { // narrower types may wrap
		return out, false
	}
	rank := len(n.Out[0].Shape)
	x, okX := affineExpand(n.In[0], rank)
	y, okY := affineExpand(n.In[1], rank)
	if !okX || !okY {
		return out, false
	}
	if n.Op == op.Mul && !y.constant() {
		x, y = y, x
	}
	if n.Op == op.Mul && !y.constant() {
		return out, false
	}
	combine := map[*ir.Op]func(a, b sym.Dim) sym.Dim{op.Add: sym.Dim.Add, op.Sub: sym.Dim.Sub,
		op.Mul: func(a, _ sym.Dim) sym.Dim { return a.Mul(y.start) }}[n.Op]
	out.start = combine(x.start, y.start)
	for i := range rank {
		out.step = append(out.step, combine(x.step[i], y.step[i]))
	}
	return out, true
}

func (a affine) constant() bool {
	for _, s := range a.step {
		if !s.Is(0) {
			return false
		}
	}
	return true
}

// bounds are the least and greatest element, if the signs of the steps are known.
func (a affine) bounds(shape []sym.Dim) (lo, hi sym.Dim, ok bool) {
	lo, hi = a.start, a.start
	for i, s := range a.step {
		reach := s.Mul(shape[i].Sub(sym.Const(1)))
		switch {
		case sym.Const(0).LessEq(s) == sym.True:
			hi = hi.Add(reach)
		case s.LessEq(sym.Const(0)) == sym.True:
			lo = lo.Add(reach)
		default:
			return lo, hi, false
		}
	}
	return lo, hi, true
}

// alwaysTrue replaces x <= y where the greatest x is at most the least y.
func alwaysTrue(_ *Context, n *ir.Node) *ir.Patch {
	x, okX := affineOf(n.In[0])
	y, okY := affineOf(n.In[1])
	if !okX || !okY {
		return nil
	}
	_, most, okX := x.bounds(n.In[0].Shape)
	least, _, okY := y.bounds(n.In[1].Shape)
	if !okX || !okY || most.LessEq(least) != sym.True {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(n.Out[0].Shape)}, trueValue()))
}

func trueValue() *ir.Value {
	t := ir.NewTensor(loop.Bool)
	t.Set(0, loop.Scalar{I: 1})
	return ir.ConstValue("", t)
}

// andTrue drops an operand that is true everywhere.
func andTrue(_ *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		if !isTrue(o[0]) {
			continue
		}
		p := ir.NewPatch(n)
		if ir.SameShape(o[1].Shape, n.Out[0].Shape) {
			return p.Replace(n.Out[0], o[1])
		}
		return p.Replace(n.Out[0], p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(n.Out[0].Shape)}, o[1]))
	}
	return nil
}

func isTrue(v *ir.Value) bool {
	for v.Def != nil && (v.Def.Op == op.Expand || v.Def.Op == op.Reshape) {
		v = v.Def.In[0]
	}
	k, ok := scalar(v)
	return ok && v.Elem == loop.Bool && k != 0
}

// gatherInOrder replaces a gather whose indices are 0, 1, 2, … to the axis's end, in order, by a reshape.
func gatherInOrder(_ *Context, n *ir.Node) *ir.Patch {
	data, index := n.In[0], n.In[1]
	a, ok := affineOf(index)
	if !ok || !a.start.Is(0) {
		return nil
	}
	count := sym.Const(1)
	for i := len(index.Shape) - 1; i >= 0; i-- {
		if !index.Shape[i].Is(1) && a.step[i].Same(count) != sym.True {
			return nil
		}
		count = count.Mul(index.Shape[i])
	}
	if count.Same(data.Shape[n.Attr.(op.GatherAttr).Axis]) != sym.True {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, data))
}

// gatherEveryIndex replaces a gather by tuples (i, j, …) that count along axes of their own, in order, by a reshape and a broadcast.
func gatherEveryIndex(_ *Context, n *ir.Node) *ir.Patch {
	data, index := n.In[0], n.In[1]
	parts := tuple(index)
	if parts == nil {
		return nil
	}
	rank := len(index.Shape) - 1
	shape := make([]sym.Dim, rank, rank+len(data.Shape))
	for i := range shape {
		shape[i] = sym.Const(1)
	}
	last := -1
	for c, part := range parts {
		axis, ok := counts(part)
		if !ok || axis <= last || axis >= rank || index.Shape[axis].Same(data.Shape[c]) != sym.True {
			return nil
		}
		shape[axis], last = data.Shape[c], axis
	}
	shape = append(shape, data.Shape[len(parts):]...)
	p := ir.NewPatch(n)
	r := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(shape)}, data)
	return p.Replace(n.Out[0], p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(n.Out[0].Shape)}, r))
}

// tuple lists the components of index tuples: the parts of a concatenation along the last axis, each of one number.
func tuple(index *ir.Value) []*ir.Value {
	if c := by(index, op.Concat); c != nil && int(c.Attr.(op.ConcatAttr).Axis) == len(index.Shape)-1 {
		for _, v := range c.In {
			if !v.Shape[len(v.Shape)-1].Is(1) {
				return nil
			}
		}
		return c.In
	}
	if index.Shape[len(index.Shape)-1].Is(1) {
		return []*ir.Value{index}
	}
	return nil
}

// counts reports the only axis along which a tensor counts 0, 1, 2, ….
func counts(v *ir.Value) (axis int, ok bool) {
	a, ok := affineOf(v)
	if !ok || !a.start.Is(0) {
		return 0, false
	}
	axis = -1
	for i, s := range a.step {
		switch {
		case s.Is(0):
		case s.Is(1) && axis < 0:
			axis = i
		default:
			return 0, false
		}
	}
	return axis, axis >= 0
}
