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
	sharedK, group := repeated(k)
	sharedV, groupV := repeated(v)
	if group != groupV {
		sharedK, sharedV, group = k, v, 1
	}
	c.arg("K", viewExpr(l.rowsView(sharedK)))
	c.arg("V", viewExpr(l.rowsView(sharedV)))
	l.newRowsArgs(&c, sharedK, sharedV)
	if group > 1 {
		c.arg("Group", num(int(group)))
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

// newRows are the rows of a cache that are not in it yet: where they are, and where they belong.
type newRows struct {
	from, to view
	past     sym.Dim
}

// putByAttention leaves the new rows of a cache to the attention that reads it, if one alone does, with heads repeated or not.
func (l *lowering) putByAttention(cache *ir.Value, from, to view) bool {
	n := cache
	for len(l.users[n]) == 1 && (l.users[n][0].Op == op.Reshape || l.users[n][0].Op == op.Expand) {
		n = l.users[n][0].Out[0]
	}
	if len(l.users[n]) != 1 || l.users[n][0].Op != op.Attention || cache.Elem != loop.F32 || !from.strides[len(from.strides)-1].Is(1) {
		return false
	}
	att, axis := l.users[n][0], cache.Def.Attr.(op.ConcatAttr).Axis
	k, groupK := repeated(att.In[1])
	v, groupV := repeated(att.In[2])
	if axis != 2 || groupK != groupV || (k == cache) == (v == cache) || att.In[0] == n || att.In[3] == n {
		return false
	}
	l.newRows[cache] = newRows{from, to, cache.Def.In[0].Shape[axis]}
	return true
}

// newRowsArgs adds the new rows of the caches that are keys and values.
func (l *lowering) newRowsArgs(c *Call, caches ...*ir.Value) {
	list, past := Expr{Type: "[2]rt.View"}, sym.Dim{}
	found := false
	for _, x := range caches {
		rows, ok := l.newRows[x]
		if ok && found && rows.past != past {
			l.emitMove(x.Def.In[1], rows.from, rows.to)
			ok = false
		}
		if !ok {
			list.List = append(list.List, Field{"", Expr{Type: "rt.View"}})
			continue
		}
		list.List = append(list.List, Field{"", viewExpr(rows.from)})
		past, found = rows.past, true
	}
	if found {
		c.arg("New", list)
		c.arg("Past", dim(past))
	}
}

// repeated is what keys or values [batch, heads*group, rows, columns] are of which each head is there for a group of heads of queries, one
// after another, and how many they are; else v and 1.
func repeated(v *ir.Value) (*ir.Value, int64) {
	if defined(v, op.Expand) && len(v.Def.In[0].Shape) == 4 && v.Def.In[0].Shape[1].Is(1) && v.Def.In[0].Shape[0] == v.Shape[0] && ir.SameShape(v.Def.In[0].Shape[2:], v.Shape[2:]) {
		if heads, ok := v.Shape[1].Const(); ok {
			return v.Def.In[0], heads
		}
	}
	if !defined(v, op.Reshape) || !defined(v.Def.In[0], op.Expand) {
		return v, 1
	}
	many := v.Def.In[0]
	one := many.Def.In[0]
	if !defined(one, op.Reshape) || len(many.Shape) != 5 || len(one.Shape) != 5 || !one.Shape[2].Is(1) {
		return v, 1
	}
	x := one.Def.In[0]
	s := x.Shape
	group, ok := many.Shape[2].Const()
	if !ok || len(s) != 4 || !ir.SameShape(one.Shape, []sym.Dim{s[0], s[1], sym.Const(1), s[2], s[3]}) ||
		!ir.SameShape(v.Shape, []sym.Dim{s[0], s[1].Mul(many.Shape[2]), s[2], s[3]}) {
		return v, 1
	}
	return x, group
}

func defined(v *ir.Value, by *ir.Op) bool { return v.Def != nil && v.Def.Op == by }

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
