package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Activation moves an activation into the Linear whose only reader it is.
var Activation = Rewrite("activation", "moves activations into linear layers", Rule{"activation", func() *ir.Op { return op.Linear }, activation})

func activation(c *Context, n *ir.Node) *ir.Patch {
	attr := n.Attr.(op.LinearAttr)
	u := c.Only(n.Out[0])
	if u == nil || attr.Act != "" || n.In[3] != nil {
		return nil
	}
	switch u.Op {
	case op.Relu, op.Tanh, op.Sigmoid:
	case op.Gelu:
		attr.Tanh = u.Attr.(op.GeluAttr).Tanh
	case op.Silu:
		attr.Alpha = u.Attr.(op.SiluAttr).Alpha
	default:
		return nil
	}
	attr.Act = u.Op.Name
	p := ir.NewPatch(u, n)
	return p.Replace(u.Out[0], p.Emit1(op.Linear, attr, n.In...))
}
