package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Linear makes a product with a constant matrix, and the bias added to it, one node.
var Linear = Rewrite("linear", "joins products with constant matrices and their bias",
	Rule{"linear", func() *ir.Op { return op.MatMul }, linear})

func linear(c *Context, n *ir.Node) *ir.Patch {
	w := n.In[1]
	if w.Const == nil {
		return nil
	}
	if len(w.Shape) != 2 {
		return c.Miss(n, "linear", "the constant operand has rank %d", len(w.Shape))
	}
	var bias *ir.Value
	end := n
	if add := c.Only(n.Out[0]); add != nil && add.Op == op.Add {
		size, _ := w.Shape[1].Const()
		if bias = otherVector(add, n.Out[0], size); bias != nil {
			end = add
		}
	}
	p := ir.NewPatch(end, n)
	return p.Replace(end.Out[0], p.Emit1(op.Linear, op.LinearAttr{}, n.In[0], w, bias, nil))
}
