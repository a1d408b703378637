package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Silu is x sigmoid(Alpha x), elementwise: Alpha 1 is SiLU or swish, 1.702 quick GELU.
var Silu = ir.NewOp("silu", "x sigmoid(alpha x), elementwise", SiluAttr{})

// SiluAttr holds the factor of the sigmoid's argument.
type SiluAttr struct{ Alpha float32 }

func init() {
	Silu.Infer = sameAsFirst
	Silu.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		x := in[0]
		if a := n.Attr.(SiluAttr).Alpha; a != 1 {
			x = b.Mul(b.F(a), x)
		}
		return b.Mul(in[0], b.Sigmoid(x))
	}
	ir.FromONNX("", "Swish", 24, func(c *ir.Import) error {
		in, err := c.NeedAll(1)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Silu, SiluAttr{Alpha: c.Float("alpha", 1)}, in[0]))
	})
}
