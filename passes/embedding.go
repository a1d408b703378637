package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Embedding makes a sum of table look-ups, such as those of tokens, positions and segments, one node.
var Embedding = Rewrite("embedding", "joins sums of table look-ups", Rule{"embedding", func() *ir.Op { return op.Add }, embedding})

func embedding(c *Context, n *ir.Node) *ir.Patch {
	var in []*ir.Value
	for i, v := range n.In {
		part := c.lookUps(v, i == 0 || by(n.In[0], op.Embedding) == nil)
		if part == nil {
			return nil
		}
		if len(part) > 2 {
			in = append(part, in...) // a sum made before stays first: additions keep their order
		} else {
			in = append(in, part...)
		}
	}
	if len(in) > 2*op.MaxTables {
		return c.Miss(n, "embedding", "more than %d tables", op.MaxTables)
	}
	for i := 0; i < len(in); i += 2 {
		if in[i].Shape[1] != in[0].Shape[1] {
			return nil
		}
	}
	p := ir.NewPatch(n, n.In[0].Def, n.In[1].Def)
	return p.Replace(n.Out[0], p.Emit1(op.Embedding, nil, in...))
}

// lookUps are the tables and indices of a look-up along the first axis, or of a sum of some, that only this sum reads.
func (c *Context) lookUps(v *ir.Value, sums bool) []*ir.Value {
	if c.Only(v) == nil {
		return nil
	}
	if e := by(v, op.Embedding); e != nil && sums {
		return e.In
	}
	g := by(v, op.Gather)
	if g == nil || g.Attr.(op.GatherAttr).Axis != 0 || g.In[0].Elem != loop.F32 || len(g.In[0].Shape) != 2 || g.In[0].Const == nil {
		return nil
	}
	return g.In
}
