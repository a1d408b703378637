package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// view is a value as memory: an address and strides in elements. Moves are views until somebody needs the elements in a row.
type view struct {
	mem     Mem
	shape   []sym.Dim
	strides []sym.Dim
}

func contiguous(m Mem, shape []sym.Dim) view {
	strides := make([]sym.Dim, len(shape))
	step := sym.Const(1)
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step = step.Mul(shape[i])
	}
	return view{m, shape, strides}
}

// isContiguous ignores the strides of axes of size 1.
func (v view) isContiguous() bool {
	c := contiguous(v.mem, v.shape)
	for i := range v.shape {
		if v.strides[i] != c.strides[i] && !v.shape[i].Is(1) {
			return false
		}
	}
	return true
}

func (v view) shifted(elems sym.Dim, size int64) Mem {
	m := v.mem
	m.Off = m.Off.Add(elems.Mul(sym.Const(size)))
	return m
}

// reshaped is v with another shape, if strides can say it: groups of axes with equal products, each regular.
func (v view) reshaped(to []sym.Dim) (view, bool) {
	if v.isContiguous() {
		return contiguous(v.mem, to), true
	}
	out := view{v.mem, to, make([]sym.Dim, len(to))}
	i, j := 0, 0
	for i < len(v.shape) || j < len(to) {
		i0, j0 := i, j
		pi, pj := sym.Const(1), sym.Const(1)
		if i < len(v.shape) {
			pi, i = v.shape[i], i+1
		}
		if j < len(to) {
			pj, j = to[j], j+1
		}
		for pi != pj {
			switch {
			case i < len(v.shape) && (divides(pi, pj) || j == len(to)):
				pi, i = pi.Mul(v.shape[i]), i+1
			case j < len(to):
				pj, j = pj.Mul(to[j]), j+1
			default:
				return out, false
			}
		}
		if !v.regular(i0, i) {
			return out, false
		}
		step := sym.Const(1)
		if i > i0 {
			step = v.innerStride(i0, i)
		}
		for a := j - 1; a >= j0; a-- {
			out.strides[a] = step
			step = step.Mul(to[a])
		}
	}
	return out, true
}

func divides(a, b sym.Dim) bool {
	_, ok := b.Div(a)
	return ok
}

// regular reports whether axes i0 … i1-1 are walked as one.
func (v view) regular(i0, i1 int) bool {
	last := -1
	for a := i1 - 1; a >= i0; a-- {
		if v.shape[a].Is(1) {
			continue
		}
		if last >= 0 && v.strides[a] != v.strides[last].Mul(v.shape[last]) {
			return false
		}
		last = a
	}
	return true
}

func (v view) innerStride(i0, i1 int) sym.Dim {
	for a := i1 - 1; a >= i0; a-- {
		if !v.shape[a].Is(1) {
			return v.strides[a]
		}
	}
	return sym.Const(1)
}

// broadcast gives v the rank and axes of a larger shape: axes of size 1 get stride 0.
func (v view) broadcast(to []sym.Dim) view {
	out := view{v.mem, to, make([]sym.Dim, len(to))}
	d := len(to) - len(v.shape)
	for i := range v.shape {
		if v.shape[i] == to[d+i] {
			out.strides[d+i] = v.strides[i]
		}
	}
	return out
}

// view gives a value as memory, without moving anything if strides can say it.
func (l *lowering) view(v *ir.Value) view {
	if w, ok := l.views[v]; ok {
		return w
	}
	w := l.viewOf(v)
	l.views[v] = w
	return w
}

func (l *lowering) viewOf(v *ir.Value) view {
	if v.Const != nil {
		return contiguous(Mem{Weight, l.constant(v, Plain), sym.Const(0)}, v.Shape)
	}
	n := v.Def
	switch n.Op {
	case op.Transpose:
		return l.view(n.In[0]).transposed(n)
	case op.Reshape:
		if out, ok := l.view(n.In[0]).reshaped(v.Shape); ok {
			return out
		}
		return contiguous(l.buffer(n.In[0]), v.Shape)
	case op.Slice:
		return l.sliceView(n)
	case op.Expand:
		return l.view(n.In[0]).broadcast(v.Shape)
	case op.Gather:
		if i, ok := scalarIndex(n); ok {
			return l.gatherView(n, i)
		}
	}
	panic("codegen: a value of " + n.Op.Name + " is used before it is computed")
}

func (l *lowering) sliceView(n *ir.Node) view {
	a, in := n.Attr.(op.SliceAttr), l.view(n.In[0])
	out := view{in.mem, n.Out[0].Shape, append([]sym.Dim{}, in.strides...)}
	at := sym.Const(0)
	steps := a.Steps.List()
	for i, s := range a.Starts.List() {
		at = at.Add(s.Mul(in.strides[i]))
		out.strides[i] = in.strides[i].Mul(sym.Const(steps[i]))
	}
	out.mem = in.shifted(at, n.Out[0].Elem.Size())
	return out
}

// scalarIndex is the constant index of a Gather that picks one entry of its axis.
func scalarIndex(n *ir.Node) (int64, bool) {
	t := n.In[1].Const
	if t == nil || len(t.Shape) != 0 {
		return 0, false
	}
	i := t.At(0).I
	size, known := n.In[0].Shape[n.Attr.(op.GatherAttr).Axis].Const()
	if i >= 0 {
		return i, known && i < size || i == 0
	}
	return i + size, known && i+size >= 0
}

func (l *lowering) gatherView(n *ir.Node, i int64) view {
	in, axis := l.view(n.In[0]), n.Attr.(op.GatherAttr).Axis
	out := view{in.shifted(in.strides[axis].Mul(sym.Const(i)), n.Out[0].Elem.Size()), n.Out[0].Shape, nil}
	out.strides = append(append(out.strides, in.strides[:axis]...), in.strides[axis+1:]...)
	return out
}

// isMove reports whether a node is a view, lowered when somebody asks for it.
func isMove(n *ir.Node) bool {
	switch n.Op {
	case op.Transpose, op.Reshape, op.Slice, op.Expand:
		return true
	case op.Gather:
		_, ok := scalarIndex(n)
		return ok
	}
	return false
}

// transposed is what a transposition makes of a view.
func (v view) transposed(n *ir.Node) view {
	out := view{mem: v.mem, shape: n.Out[0].Shape}
	for _, p := range n.Attr.(op.TransposeAttr).Perm.List() {
		out.strides = append(out.strides, v.strides[p])
	}
	return out
}

// buffer gives a value's elements in a row, moving them if need be.
func (l *lowering) buffer(v *ir.Value) Mem {
	w := l.view(v)
	if w.isContiguous() {
		return w.mem
	}
	to := l.alloc(v)
	l.emitMove(v, w, contiguous(to, v.Shape))
	l.views[v] = contiguous(to, v.Shape)
	return to
}

// rows gives a value's elements as rows of its last axis, each contiguous and some elements from the one before, moving them if need be.
func (l *lowering) rows(v *ir.Value) (m Mem, step sym.Dim) {
	last := len(v.Shape) - 1
	width := v.Shape[last]
	if w := l.view(v); !w.isContiguous() {
		r, ok := w.reshaped([]sym.Dim{sym.Product(v.Shape[:last]), width})
		if ok && r.strides[1].Is(1) && !r.strides[0].Is(0) {
			return r.mem, r.strides[0]
		}
	}
	return l.buffer(v), width
}
