package codegen

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

func (l *lowering) lowerAttention(n *ir.Node) {
	q, k, v, mask := n.In[0], n.In[1], n.In[2], n.In[3]
	attr, out := n.Attr.(op.AttentionAttr), n.Out[0]
	c := Call{Method: "Attention", Type: "rt.Attention", Kind: "attention"}
	for _, f := range []struct {
		name string
		d    sym.Dim
	}{{"Batch", q.Shape[0]}, {"Heads", q.Shape[1]}, {"M", q.Shape[2]}, {"S", k.Shape[2]}, {"D", q.Shape[3]}, {"E", v.Shape[3]}} {
		c.arg(f.name, dim(f.d))
	}
	c.arg("Q", viewExpr(l.rowsView(q)))
	vk, group := l.sharedHeads(k)
	vv, group2 := l.sharedHeads(v)
	if group != group2 {
		vk, vv, group = l.rowsView(k), l.rowsView(v), 1
	}
	c.arg("K", viewExpr(vk))
	c.arg("V", viewExpr(vv))
	if group > 1 {
		c.arg("Group", num(group))
	}
	if mask != nil {
		full := []sym.Dim{q.Shape[0], q.Shape[1], q.Shape[2], k.Shape[2]}
		c.arg("Mask", viewExpr(l.maskView(mask, full)))
	}
	// The result is stored as [batch, rows, heads, columns]: the transposition that follows is then a view.
	m := l.alloc(out)
	byRow := contiguous(m, []sym.Dim{out.Shape[0], out.Shape[2], out.Shape[1], out.Shape[3]})
	w := view{m, out.Shape, []sym.Dim{byRow.strides[0], byRow.strides[2], byRow.strides[1], byRow.strides[3]}}
	l.views[out] = w
	c.arg("Out", viewExpr(w))
	kernel := op.SoftmaxRow("softmax", attr, mask != nil)
	c.arg("Softmax", num(l.kernel(kernel)))
	c.Flops = sym.Const(2).Mul(sym.Product(q.Shape[:3])).Mul(k.Shape[2]).Mul(q.Shape[3].Add(v.Shape[3]))
	l.emit(c)
}

func viewExpr(v view) Expr {
	return Expr{Type: "rt.View", List: []Field{{"P", mem(v.mem)}, {"Batch", dim(v.strides[0])}, {"Head", dim(v.strides[1])}, {"Row", dim(v.strides[2])}}}
}

// sharedHeads is a view of keys or values of which each head is for a group of heads of queries, one after another, and how many they are:
// heads that are repeated are not made.
func (l *lowering) sharedHeads(v *ir.Value) (view, int) {
	heads, known := v.Shape[1].Const()
	if r := v.Def; known && r != nil && r.Op == op.Reshape && len(r.In[0].Shape) == 5 {
		w := l.view(r.In[0])
		group, ok := w.shape[2].Const()
		same := w.shape[0] == v.Shape[0] && w.shape[1].Mul(w.shape[2]) == v.Shape[1] && ir.SameShape(w.shape[3:], v.Shape[2:])
		if ok && same && group > 1 && w.strides[2].Is(0) && w.strides[4].Is(1) {
			st := w.strides
			return view{w.mem, []sym.Dim{w.shape[0], w.shape[1], w.shape[3], w.shape[4]}, []sym.Dim{st[0], st[1], st[3], st[4]}}, int(group)
		}
	}
	w := l.rowsView(v)
	if known && heads > 1 && w.strides[1].Is(0) {
		return w, int(heads)
	}
	return w, 1
}

// rowsView is a view whose last axis is contiguous.
func (l *lowering) rowsView(v *ir.Value) view {
	w := l.view(v)
	if last := len(w.shape) - 1; !w.strides[last].Is(1) && !w.shape[last].Is(1) {
		return contiguous(l.buffer(v), v.Shape)
	}
	return w
}

func (l *lowering) maskView(v *ir.Value, full []sym.Dim) view {
	if len(v.Shape) > 0 && v.Shape[len(v.Shape)-1] == full[3] {
		return l.rowsView(v).broadcast(full)
	}
	m := l.allocBytes(sym.Product(full).Mul(sym.Const(4)))
	w := &ir.Value{Elem: loop.F32, Shape: full}
	l.emitMove(w, l.view(v).broadcast(full), contiguous(m, full))
	return contiguous(m, full)
}
