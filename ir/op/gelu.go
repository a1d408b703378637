package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// GeluAttr: Tanh selects the tanh form.
type GeluAttr struct{ Tanh bool }

// Gelu is x Phi(x), elementwise, Phi the normal distribution function (Hendrycks and Gimpel, 2016).
var Gelu = ir.NewOp("gelu", "x Phi(x), elementwise", GeluAttr{})

func init() {
	Gelu.Infer = sameAsFirst
	Gelu.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		if n.Attr.(GeluAttr).Tanh {
			return b.GeluTanh(in[0])
		}
		return b.Gelu(in[0])
	}
	ir.FromONNX("", "Gelu", 20, func(c *ir.Import) error {
		in, err := c.NeedAll(1)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Gelu, GeluAttr{Tanh: c.Str("approximate", "none") == "tanh"}, in[0]))
	})
}
