package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// SiLU recomposes x sigmoid(alpha x), which with alpha 1.702 is quick GELU.
var SiLU = Rewrite("silu", "recomposes SiLU and quick GELU", Rule{"silu", func() *ir.Op { return op.Mul }, silu})

func silu(_ *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		s := by(o[1], op.Sigmoid)
		if s == nil {
			continue
		}
		x, alpha := s.In[0], 1.0 // x sigmoid(x)
		if x != o[0] {
			if x, alpha, _ = isScale(s.In[0], op.Mul, op.Div); x != o[0] { // x sigmoid(alpha x)
				continue
			}
		}
		p := ir.NewPatch(n, s)
		return p.Replace(n.Out[0], p.Emit1(op.Silu, op.SiluAttr{Alpha: float32(alpha)}, x))
	}
	return nil
}
