package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Gate moves the product of a Linear's result and another value of the same shape into the Linear: SwiGLU, GeGLU and their relatives
// (Shazeer, 2020). Of two layers that are multiplied, the one with an activation takes the other.
var Gate = Rewrite("gate", "moves products with gates into linear layers", Rule{"gate", func() *ir.Op { return op.Mul }, gate})

func gate(c *Context, n *ir.Node) *ir.Patch {
	var best *ir.Node
	var other *ir.Value
	for _, o := range operands(n) {
		l := by(o[0], op.Linear)
		if l == nil || l.In[3] != nil || c.Only(o[0]) != n || o[0] == o[1] || o[1].Const != nil || by(l.In[0], op.Patches) != nil {
			continue
		}
		if !ir.SameShape(o[0].Shape, o[1].Shape) {
			return c.Miss(n, "gate", "the other operand is broadcast from %v to %v", o[1].Shape, o[0].Shape)
		}
		if best == nil || l.Attr.(op.LinearAttr).Act != "" {
			best, other = l, o[1]
		}
	}
	if best == nil {
		return nil
	}
	attr := best.Attr.(op.LinearAttr)
	attr.Times = true
	p := ir.NewPatch(n, best)
	return p.Replace(n.Out[0], p.Emit1(op.Linear, attr, best.In[0], best.In[1], best.In[2], other))
}
