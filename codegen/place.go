package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// place is where a node is to write a result, known from now on: where the only reader, a concatenation or what needs it transposed, wants it,
// so that it need not be moved there, or room of its own. The node must be able to write in that way. The view may have another shape
// than the value where the only reader is a reshape.
func (l *lowering) place(v *ir.Value, able func(view) bool) view {
	if w, ok := l.wanted(v); ok && able(w) {
		l.views[v] = w
		return w
	}
	return contiguous(l.define(v), v.Shape)
}

// wanted is where the only reader of a value wants it, if anywhere.
func (l *lowering) wanted(v *ir.Value) (view, bool) {
	u := l.onlyReader(v)
	if u == nil {
		return view{}, false
	}
	switch u.Op {
	case op.Concat:
		return l.partOf(u, v)
	case op.TensorScatter:
		if cache := l.overwritten(v); cache != nil {
			return l.joined(cache), true
		}
	case op.Reshape:
		w, ok := l.wanted(u.Out[0])
		if !ok {
			return view{}, false
		}
		if r, same := w.reshaped(v.Shape); same {
			return r, true
		}
		return w, true
	case op.Transpose:
		w, ok := l.wanted(u.Out[0])
		if ok {
			w, ok = w.reshaped(u.Out[0].Shape)
		} else if ok = l.movedForRows(u); ok {
			w = contiguous(l.alloc(v), u.Out[0].Shape)
		}
		if !ok {
			return view{}, false
		}
		back := view{w.mem, v.Shape, make([]sym.Dim, len(v.Shape))}
		for i, p := range u.Attr.(op.TransposeAttr).Perm.List() {
			back.strides[p] = w.strides[i]
		}
		return back, true
	}
	return view{}, false
}

// joined is where a concatenation, or a cache that rows are written into, is made. Whoever makes the first of its parts asks first.
func (l *lowering) joined(out *ir.Value) view {
	if w, ok := l.views[out]; ok {
		return w
	}
	if l.cache(out) {
		return l.defineCache(out)
	}
	return l.place(out, func(w view) bool { return ir.SameShape(w.shape, out.Shape) })
}

// partOf is where a concatenation has an operand, which must be there once.
func (l *lowering) partOf(n *ir.Node, v *ir.Value) (part view, ok bool) {
	for i, p := range l.parts(n) {
		if n.In[i] != v {
			continue
		}
		if ok {
			return view{}, false
		}
		part, ok = p, true
	}
	return part, ok
}

// parts is where a concatenation has its operands.
func (l *lowering) parts(n *ir.Node) (all []view) {
	to, axis, at := l.joined(n.Out[0]), n.Attr.(op.ConcatAttr).Axis, sym.Const(0)
	for _, v := range n.In {
		all = append(all, view{to.shifted(at.Mul(to.strides[axis]), v.Elem.Size()), v.Shape, to.strides})
		at = at.Add(v.Shape[axis])
	}
	return all
}

// movedForRows reports whether a transposition would be done in memory, for a row kernel that reads it reshaped.
func (l *lowering) movedForRows(n *ir.Node) bool {
	v := n.Out[0]
	for u := l.onlyReader(v); u != nil && u.Op == op.Reshape; u = l.onlyReader(v) {
		v = u.Out[0]
	}
	_, free := contiguous(Mem{}, n.In[0].Shape).transposed(n).reshaped(v.Shape)
	return !free && !l.outputs[v] && len(l.users[v]) > 0 && l.users[v][0].Op.Row != nil
}

// lines is a view as an rt.Lines, in bytes of f32: rows of so many elements, the last axis, that lie in lines, and these in groups.
func (v view) lines(width sym.Dim) (Expr, bool) {
	last := len(v.shape) - 1
	if last < 1 || !v.strides[last].Is(1) || v.shape[last] != width {
		return Expr{}, false
	}
	var sizes, steps []sym.Dim
	for a := last - 1; a >= 0; a-- {
		switch n := len(sizes); {
		case v.shape[a].Is(1):
		case n > 0 && v.strides[a] == steps[n-1].Mul(sizes[n-1]):
			sizes[n-1] = sizes[n-1].Mul(v.shape[a])
		default:
			sizes, steps = append(sizes, v.shape[a]), append(steps, v.strides[a])
		}
	}
	if len(sizes) == 0 || len(sizes) > 3 {
		return Expr{}, false
	}
	for len(sizes) < 3 {
		sizes, steps = append(sizes, sym.Const(1)), append(steps, sym.Const(0))
	}
	step := bytesOf(steps, 4)
	return Expr{Type: "rt.Lines", List: []Field{{"Count", dim(sizes[0])}, {"Row", dim(step[0])}, {"Of", dim(sizes[1])}, {"Line", dim(step[1])}, {"Group", dim(step[2])}}}, true
}

// is reports whether two views are the same elements in the same order.
func (v view) is(w view) bool {
	if v.mem != w.mem {
		return false
	}
	for i := range v.shape {
		if v.strides[i] != w.strides[i] && !v.shape[i].Is(1) {
			return false
		}
	}
	return true
}

// inRows reports whether the last axis is contiguous, as kernels of rows write it.
func (v view) inRows() bool {
	last := lastAxis(v.shape)
	return last < 0 || v.strides[last].Is(1)
}
