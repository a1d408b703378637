package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// EluAttr: x above zero is scaled by Gamma, below it is Gamma Alpha (e^x - 1).
type EluAttr struct{ Alpha, Gamma float32 }

// Elu is the exponential linear unit, elementwise; with Gamma it is SELU.
var Elu = ir.NewOp("elu", "x > 0 ? gamma x : gamma alpha (e^x - 1), elementwise", EluAttr{})

func init() {
	Elu.Infer = sameAsFirst
	Elu.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		a, x := n.Attr.(EluAttr), in[0]
		below := b.Mul(b.F(a.Alpha), b.Sub(b.Exp(x), b.F(1)))
		return b.Mul(b.F(a.Gamma), b.Do(loop.Select, b.Do(loop.Lt, b.F(0), x), x, below))
	}
	for name, def := range map[string]EluAttr{"Elu": {1, 1}, "Selu": {1.67326319217681884765625, 1.05070102214813232421875}} {
		ir.FromONNX("", name, 6, func(c *ir.Import) error {
			in, err := c.NeedAll(1)
			if err != nil {
				return err
			}
			return c.Return(c.Emit(Elu, EluAttr{c.Float("alpha", def.Alpha), c.Float("gamma", def.Gamma)}, in[0]))
		})
	}
}
