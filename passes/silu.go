package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// SiLU recomposes x sigmoid(alpha x), which with alpha 1.702 is quick GELU, and x tanh(softplus(x)), Mish.
var SiLU = Rewrite("silu", "recomposes SiLU, quick GELU and Mish", Rule{"silu", func() *ir.Op { return op.Mul }, silu},
	Rule{"mish", func() *ir.Op { return op.Mul }, mish})

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

func mish(_ *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		t := by(o[1], op.Tanh)
		if t == nil {
			continue
		}
		if s := by(t.In[0], op.Softplus); s != nil && s.In[0] == o[0] && o[0].Elem == loop.F32 {
			p := ir.NewPatch(n, t, s)
			return p.Replace(n.Out[0], p.Emit1(op.Mish, nil, o[0]))
		}
	}
	return nil
}
