package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// place is where a node is to write a result, known from now on: where the only reader, a concatenation, wants it, so that it need not be
// moved there, or room of its own. The node must be able to write in that way.
func (l *lowering) place(v *ir.Value, able func(view) bool) view {
	if w, ok := l.wanted(v); ok && able(w) {
		l.views[v] = w
		return w
	}
	return contiguous(l.define(v), v.Shape)
}

// wanted is where the only reader of a value wants it, if anywhere.
func (l *lowering) wanted(v *ir.Value) (view, bool) {
	if l.outputs[v] || len(l.users[v]) != 1 {
		return view{}, false
	}
	u := l.users[v][0]
	switch u.Op {
	case op.Concat:
		return l.partOf(u, v)
	case op.Reshape:
		if w, ok := l.wanted(u.Out[0]); ok {
			return w.reshaped(v.Shape)
		}
	case op.Transpose:
		w, ok := l.wanted(u.Out[0])
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

// joined is where a concatenation is made. Whoever makes the first of its parts asks first.
func (l *lowering) joined(n *ir.Node) view {
	out := n.Out[0]
	if w, ok := l.views[out]; ok {
		return w
	}
	if l.cache(out) {
		return l.defineCache(out)
	}
	return l.place(out, func(view) bool { return true })
}

// partOf is where a concatenation has an operand, which must be there once.
func (l *lowering) partOf(n *ir.Node, v *ir.Value) (part view, ok bool) {
	to, axis := l.joined(n), n.Attr.(op.ConcatAttr).Axis
	at := sym.Const(0)
	for _, x := range n.In {
		if x == v {
			if ok {
				return view{}, false
			}
			part, ok = view{to.shifted(at.Mul(to.strides[axis]), v.Elem.Size()), v.Shape, to.strides}, true
		}
		at = at.Add(x.Shape[axis])
	}
	return part, ok
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
