package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Activation moves an activation into the Linear whose only reader it is.
var Activation = Rewrite("activation", "moves activations into linear layers", Rule{"activation", func() *ir.Op { return op.Linear }, activation})

// Activation2 is Activation for the layers that Residual has added something to: the activation comes last.
var Activation2 = Rewrite("activation2", "moves activations into linear layers with residual sums", Rule{"activation", func() *ir.Op { return op.Linear }, activation})

func activation(c *Context, n *ir.Node) *ir.Patch {
	attr := n.Attr.(op.LinearAttr)
	u := c.Only(n.Out[0])
	if u == nil || attr.Act != "" {
		return nil
	}
	attr.Last = n.In[3] != nil
	switch u.Op {
	case op.Relu, op.Tanh, op.Sigmoid, op.HardSwish:
	case op.Clamp:
		a := u.Attr.(op.ClampAttr)
		attr.Lo, attr.Hi = a.Lo, a.Hi
	case op.LeakyRelu:
		attr.Alpha = u.Attr.(op.LeakyReluAttr).Alpha
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
