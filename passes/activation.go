package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Activation moves an activation into the Linear whose only reader it is.
var Activation = Rewrite("activation", "moves activations into linear layers", Rule{"activation", func() *ir.Op { return op.Linear }, activation},
	Rule{"activation", func() *ir.Op { return op.Depthwise }, depthwiseActivation},
	Rule{"activation", func() *ir.Op { return op.GroupedConv }, depthwiseActivation})

// Activation2 is Activation for the layers that Residual has added something to: the activation comes last.
var Activation2 = Rewrite("activation2", "moves activations into linear layers with residual sums", Rule{"activation", func() *ir.Op { return op.Linear }, activation})

func activation(c *Context, n *ir.Node) *ir.Patch {
	attr := n.Attr.(op.LinearAttr)
	u := c.Only(n.Out[0])
	if u == nil || attr.Act != "" || !attr.Take(u) {
		return nil
	}
	attr.Last = n.In[3] != nil
	p := ir.NewPatch(u, n)
	return p.Replace(u.Out[0], p.Emit1(op.Linear, attr, n.In...))
}

// depthwiseActivation moves an activation into the convolution of channels or groups of them whose only reader it is.
func depthwiseActivation(c *Context, n *ir.Node) *ir.Patch {
	a := n.Attr.(op.DepthwiseAttr)
	u := c.Only(n.Out[0])
	var attr op.LinearAttr
	if u == nil || a.Act != "" || !attr.Take(u) {
		return nil
	}
	p := ir.NewPatch(u, n)
	return p.Replace(u.Out[0], p.Emit1(n.Op, a.With(attr), n.In...))
}
