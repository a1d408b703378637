package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// ResidualNorm makes a sum and the normalisation of it one node, which also gives the sum.
var ResidualNorm = Rewrite("residualnorm", "joins sums and the normalisation of them", Rule{"residualnorm", func() *ir.Op { return op.LayerNorm }, residualNorm})

func residualNorm(c *Context, n *ir.Node) *ir.Patch {
	add := by(n.In[0], op.Add)
	if add == nil || !ir.SameShape(add.In[0].Shape, add.In[1].Shape) {
		return nil
	}
	p := ir.NewPatch(n, add)
	out := p.Emit(op.AddLayerNorm, n.Attr, append([]*ir.Value{add.In[0], add.In[1]}, n.In[1:]...)...)
	if c.allAfter(n, add.Out[0]) {
		p.Replace(add.Out[0], out[1])
	}
	return p.Replace(n.Out[0], out[0])
}

// allAfter reports whether all other readers of v come after n.
func (c *Context) allAfter(n *ir.Node, v *ir.Value) bool {
	for _, u := range c.Graph.Nodes {
		if u == n {
			break
		}
		if contains(u.In, v) {
			return false
		}
	}
	return !c.isOutput(v)
}
