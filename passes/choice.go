package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Choice recomposes a choice between two values that is written as their sum, one times a condition, the other times its opposite.
var Choice = Rewrite("choice", "recomposes choices written as products with conditions", Rule{"choice", func() *ir.Op { return op.Add }, choice})

func choice(_ *Context, n *ir.Node) *ir.Patch {
	x, cond, opposite := chosen(n.In[0])
	y, other, otherOpposite := chosen(n.In[1])
	if x == nil || y == nil || cond != other || opposite == otherOpposite {
		return nil
	}
	if opposite {
		x, y = y, x
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Where, nil, cond, x, y))
}

// chosen is x if v is x times a condition, or the opposite of one, as a number.
func chosen(v *ir.Value) (x, cond *ir.Value, opposite bool) {
	mul := by(v, op.Mul)
	if mul == nil {
		return nil, nil, false
	}
	for _, o := range operands(mul) {
		c := by(o[1], op.Cast)
		if c == nil || c.In[0].Elem != loop.Bool {
			continue
		}
		if not := by(c.In[0], op.Not); not != nil {
			return o[0], not.In[0], true
		}
		return o[0], c.In[0], false
	}
	return nil, nil, false
}
