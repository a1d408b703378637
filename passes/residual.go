package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Residual moves the sum of a Linear's result and another value of the same shape into the Linear.
var Residual = Rewrite("residual", "moves residual sums into linear layers", Rule{"residual", func() *ir.Op { return op.Add }, residual})

func residual(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		l := by(o[0], op.Linear)
		if l == nil || l.In[3] != nil || c.Only(o[0]) != n || o[0] == o[1] {
			continue
		}
		if !ir.SameShape(o[0].Shape, o[1].Shape) {
			return c.Miss(n, "residual", "the other operand is broadcast from %v to %v", o[1].Shape, o[0].Shape)
		}
		p := ir.NewPatch(n, l)
		return p.Replace(n.Out[0], p.Emit1(op.Linear, l.Attr, l.In[0], l.In[1], l.In[2], o[1]))
	}
	return nil
}
