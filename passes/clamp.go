package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Clamp recomposes min(max(x, lo), hi), which is how Clip is read, and x hardsigmoid(x) as hard swish.
var Clamp = Rewrite("clamp", "recomposes clamps and hard swish",
	Rule{"clamp", func() *ir.Op { return op.Min }, clamp},
	Rule{"hardswish", func() *ir.Op { return op.Mul }, hardSwish})

func clamp(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		hi, ok := scalar(o[1])
		m := by(o[0], op.Max)
		if !ok || m == nil || n.Out[0].Elem != loop.F32 || c.Only(o[0]) == nil || o[0] != n.In[0] {
			continue
		}
		if lo, ok := scalar(m.In[1]); ok && ir.SameShape(m.In[0].Shape, n.Out[0].Shape) {
			p := ir.NewPatch(n, m)
			return p.Replace(n.Out[0], p.Emit1(op.Clamp, op.ClampAttr{Lo: float32(lo), Hi: float32(hi)}, m.In[0]))
		}
	}
	return nil
}

// hardSwish is x hardsigmoid(x), or x clamp(x + 3, 0, 6) / 6 with the division on either side.
func hardSwish(_ *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		h := by(o[1], op.HardSigmoid)
		if h == nil || h.In[0] != o[0] {
			continue
		}
		if a := h.Attr.(op.HardSigmoidAttr); !near(float64(a.Alpha), 1.0/6) || !near(float64(a.Beta), 0.5) {
			continue
		}
		p := ir.NewPatch(n, h)
		return p.Replace(n.Out[0], p.Emit1(op.HardSwish, nil, o[0]))
	}
	return nil
}
