package codegen

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// scaling is the product before a Linear that scales the channels of every entry of the batch: squeeze-and-excite.
type scaling struct{ x, by *ir.Value }

// inLinear reports whether a product is made inside the only Linear that reads it, and what it is of.
func (l *lowering) inLinear(n *ir.Node) (scaling, bool) {
	if n.Op != op.Mul || n.Out[0].Elem != loop.F32 {
		return scaling{}, false
	}
	u := l.onlyReader(n.Out[0])
	if u == nil || u.Op != op.Linear || u.In[0] != n.Out[0] || u.In[3] == n.Out[0] {
		return scaling{}, false
	}
	for i, x := range n.In {
		by := n.In[1-i]
		if ir.SameShape(x.Shape, n.Out[0].Shape) && scalesChannels(by.Shape, x.Shape) && !l.inlinedValue(x) && !l.inlinedValue(by) {
			return scaling{x, by}, true
		}
	}
	return scaling{}, false
}

func (l *lowering) inlinedValue(v *ir.Value) bool { return v.Def != nil && l.inlined(v.Def) }

// scalesChannels reports whether by is [batch, 1, …, channels] for an image of at least one axis between.
func scalesChannels(by, image []sym.Dim) bool {
	last := len(image) - 1
	if len(by) != len(image) || last < 2 || by[0] != image[0] || by[last] != image[last] {
		return false
	}
	for _, d := range by[1:last] {
		if !d.Is(1) {
			return false
		}
	}
	return true
}

// scaledArgs makes a Linear's call one of the product's operands.
func (l *lowering) scaledArgs(c *Call, s scaling) {
	shape := s.x.Shape
	last := len(shape) - 1
	c.Method, c.Type, c.Kind = "Scaled", "rt.Scaled", "scaled+"+c.Kind
	c.Args = []Field{{"Linear", Expr{Type: "rt.Linear", List: c.Args}}}
	c.arg("X", mem(l.buffer(s.x)))
	c.arg("By", mem(l.buffer(s.by)))
	c.arg("Rows", dim(sym.Product(shape[1:last])))
	c.arg("Room", mem(l.allocBytes(sym.Product(shape).Mul(sym.Const(4)))))
	c.arg("Kernel", num(l.kernel(op.ScaleKernel(false))))
	c.arg("Walk", num(l.kernel(op.ScaleKernel(true))))
}
