package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Siblings makes the linear layers that read one value, such as those of queries, keys and values, one layer with all their columns:
// one product in place of several small ones. Each result is a slice of its rows, so their readers must be such as take rows that lie apart.
var Siblings = Rewrite("siblings", "joins linear layers that read the same value", Rule{"siblings", func() *ir.Op { return op.Linear }, siblings})

func siblings(c *Context, n *ir.Node) *ir.Patch {
	if !c.isSibling(n) {
		return nil
	}
	all := c.together(n)
	if len(all) < 2 {
		return nil
	}
	w, bias := sideBySide(all)
	p := ir.NewPatch(all[0], all[1:]...)
	y := p.Emit1(op.Linear, op.LinearAttr{}, n.In[0], w, bias, nil)
	at := int64(0)
	for _, l := range all {
		shape := l.Out[0].Shape
		size, _ := shape[len(shape)-1].Const()
		p.Replace(l.Out[0], p.Emit1(op.Slice, wholeBut(y, len(shape)-1, sym.Const(at), sym.Const(size)), y))
		at += size
	}
	return p
}

// together are the siblings of a layer from it on, as far as nothing is done with any of them: the keys and values that all blocks of a
// decoder make of an encoder's result would otherwise be there at once.
func (c *Context) together(n *ir.Node) (all []*ir.Node) {
	for _, u := range c.Graph.Nodes[slices.Index(c.Graph.Nodes, n):] {
		switch {
		case u.Op == op.Linear && u.In[0] == n.In[0]:
			if c.isSibling(u) {
				all = append(all, u)
			}
		case u.Op == op.Linear || u.Op == op.Attention || u.Op == op.WindowAttention:
			return all
		}
	}
	return all
}

// isSibling reports whether a Linear may be joined with others: it is columns and a bias alone, nothing else reads its weights, and who
// reads the result takes rows that lie apart.
func (c *Context) isSibling(n *ir.Node) bool {
	w, bias := n.In[1], n.In[2]
	return n.Attr.(op.LinearAttr) == op.LinearAttr{} && n.In[3] == nil && len(c.Users(w)) == 1 && (bias == nil || bias.Const != nil) && c.takenApart(n.Out[0])
}

// takenApart reports whether all that read a value, moved or as it is, are operators that take rows that lie apart.
func (c *Context) takenApart(v *ir.Value) bool {
	if c.isOutput(v) {
		return false
	}
	for _, u := range c.Users(v) {
		switch {
		case u.Op == op.Reshape || u.Op == op.Transpose || u.Op == op.Slice:
			if !c.takenApart(u.Out[0]) {
				return false
			}
		case u.Op != op.Attention && u.Op != op.WindowAttention && u.Op != op.Concat && u.Op.Elem == nil:
			return false
		}
	}
	return true
}

// sideBySide are the weights of some layers with their columns next to each other, and their biases, nil if there is none.
func sideBySide(layers []*ir.Node) (w, bias *ir.Value) {
	width, depth, any := int64(0), layers[0].In[1].Const.Shape[0], false
	for _, l := range layers {
		width += l.In[1].Const.Shape[1]
		any = any || l.In[2] != nil
	}
	wt, bt := ir.NewTensor(loop.F32, depth, width), ir.NewTensor(loop.F32, width)
	at := int64(0)
	for _, l := range layers {
		own, from := l.In[1].Const.Shape[1], ir.Slice[float32](l.In[1].Const)
		putColumns(ir.Slice[float32](wt), from, width, own, at)
		if l.In[2] != nil {
			copy(ir.Slice[float32](bt)[at:][:own], ir.Slice[float32](l.In[2].Const))
		}
		at += own
	}
	wt.Coded = codedSideBySide(layers, depth, width)
	if any {
		bias = ir.ConstValue(layers[0].In[1].Name, bt)
	}
	return ir.ConstValue(layers[0].In[1].Name, wt), bias
}

// codedSideBySide is how weights next to each other are coded, if all are in one way.
func codedSideBySide(layers []*ir.Node, depth, width int64) *ir.Coded {
	first := layers[0].In[1].Const.Coded
	if first == nil {
		return nil
	}
	rows := (depth + first.Block - 1) / first.Block
	all := &ir.Coded{Bits: first.Bits, Block: first.Block, Q: make([]uint8, depth*width), Zeros: make([]uint8, rows*width), Scales: make([]float32, rows*width)}
	at := int64(0)
	for _, l := range layers {
		c, own := l.In[1].Const.Coded, l.In[1].Const.Shape[1]
		if c == nil || c.Bits != all.Bits || c.Block != all.Block {
			return nil
		}
		putColumns(all.Q, c.Q, width, own, at)
		putColumns(all.Zeros, c.Zeros, width, own, at)
		putColumns(all.Scales, c.Scales, width, own, at)
		at += own
	}
	return all
}

// putColumns copies a matrix of so many columns to a place in the rows of a wider one.
func putColumns[T any](to, from []T, width, own, at int64) {
	for r := range int64(len(from)) / own {
		copy(to[r*width+at:][:own], from[r*own:])
	}
}
