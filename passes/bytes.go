package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Bytes ends products of integers as their readers want: with a bias of i32, and as f32.
var Bytes = Rewrite("bytes", "ends products of integers with their bias and as f32", Rule{"bytes", func() *ir.Op { return op.ByteLinear }, bytesEnd}, Rule{"bytes", func() *ir.Op { return op.ByteMatMul }, byteMatMulEnd})

func bytesEnd(c *Context, n *ir.Node) *ir.Patch {
	a := n.Attr.(op.ByteLinearAttr)
	u := c.Only(n.Out[0])
	if u == nil || !a.I32 {
		return nil
	}
	p, in := ir.NewPatch(u, n), append([]*ir.Value{}, n.In...)
	size, _ := n.In[1].Shape[1].Const()
	switch {
	case u.Op == op.Cast && u.Attr.(op.CastAttr).To == loop.F32:
		a.I32 = false
	case u.Op == op.Add && in[3] == nil && otherVector(u, n.Out[0], size) != nil:
		in[3] = otherVector(u, n.Out[0], size)
	default:
		return nil
	}
	return p.Replace(u.Out[0], p.Emit1(op.ByteLinear, a, in...))
}

func byteMatMulEnd(c *Context, n *ir.Node) *ir.Patch {
	a := n.Attr.(op.ByteMatMulAttr)
	u := c.Only(n.Out[0])
	if u == nil || !a.I32 || u.Op != op.Cast || u.Attr.(op.CastAttr).To != loop.F32 {
		return nil
	}
	a.I32 = false
	p := ir.NewPatch(u, n)
	return p.Replace(u.Out[0], p.Emit1(op.ByteMatMul, a, n.In...))
}
