package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// lowerWindowAttention is Attention whose batch entries are windows of an image: rows are found by a table.
func (l *lowering) lowerWindowAttention(n *ir.Node) {
	a, q, table, mask := n.Attr.(op.WindowAttr), n.In[0], n.In[3], n.In[4]
	windows := table.Shape[0]
	c := Call{Method: "Attention", Type: "rt.Attention", Kind: "windowattention"}
	for _, f := range []struct {
		name string
		d    sym.Dim
	}{{"Batch", q.Shape[0].Mul(windows)}, {"Heads", sym.Const(a.Heads)}, {"M", table.Shape[1]}, {"S", table.Shape[1]}, {"D", sym.Const(a.D)}, {"E", sym.Const(a.E)}, {"Windows", windows}} {
		c.arg(f.name, dim(f.d))
	}
	rows := func(w view, at, head int64) view {
		return view{w.shifted(sym.Const(at), 4), nil, []sym.Dim{w.strides[0], sym.Const(head), w.strides[1]}}
	}
	c.arg("Q", viewExpr(rows(l.rowsView(q), a.QAt, a.HeadStep(a.D))))
	c.arg("K", viewExpr(rows(l.rowsView(n.In[1]), a.KAt, a.HeadStep(a.D))))
	c.arg("V", viewExpr(rows(l.rowsView(n.In[2]), a.VAt, a.HeadStep(a.E))))
	c.arg("Out", viewExpr(rows(contiguous(l.define(n.Out[0]), n.Out[0].Shape), 0, a.E)))
	c.arg("Rows", mem(l.buffer(table)))
	if len(n.In) == 7 {
		around := Expr{Type: "[2]rt.Ptr"}
		for i, at := range []int64{a.KAt, a.VAt} {
			v := n.In[5+i]
			around.List = append(around.List, Field{"", mem(contiguous(l.buffer(v), v.Shape).shifted(sym.Const(at), 4))})
		}
		c.arg("Around", around)
	}
	if mask != nil {
		mask, of := fewMasks(mask)
		if of != nil {
			c.arg("Masks", mem(l.buffer(of)))
			windows = mask.Shape[0]
		}
		full := []sym.Dim{windows, sym.Const(a.Heads), table.Shape[1], table.Shape[1]}
		c.arg("Mask", viewExpr(l.view(mask).broadcast(full)))
	}
	c.arg("Softmax", num(l.kernel(op.SoftmaxRow("softmax", op.AttentionAttr{Scale: a.Scale, Guard: a.Guard}, mask != nil))))
	c.Flops = sym.Const(2).Mul(sym.Product(q.Shape[:2])).Mul(sym.Const(a.Heads)).Mul(table.Shape[1]).Mul(sym.Const(a.D + a.E))
	l.emit(c)
}

// fewMasks are the masks of windows [windows, ...] that differ and, if not all are the same, which of them each window has. Shifted windows
// differ only at the image's edges, so an image has four, however many windows there are. of is nil if nearly all differ, none do, or they
// are not constant.
func fewMasks(masks *ir.Value) (few, of *ir.Value) {
	t := masks.Const
	if t == nil {
		return masks, nil
	}
	windows := t.Shape[0]
	size := int64(len(t.Data)) / windows
	var data []byte
	seen, which := map[string]int64{}, make([]int64, windows)
	for w := range windows {
		one := t.Data[w*size : (w+1)*size]
		n, ok := seen[string(one)]
		if !ok {
			n = int64(len(seen))
			seen[string(one)] = n
			data = append(data, one...)
		}
		which[w] = n
	}
	count := int64(len(seen))
	if count*2 > windows {
		return masks, nil
	}
	few = ir.ConstValue(masks.Name, &ir.Tensor{Elem: t.Elem, Shape: append([]int64{count}, t.Shape[1:]...), Data: data})
	if count > 1 {
		of = ir.ConstValue("", ir.Ints(which, windows))
	}
	return few, of
}
