package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// HardSigmoidAttr holds the line's slope and offset.
type HardSigmoidAttr struct{ Alpha, Beta float32 }

// HardSigmoid is max(0, min(1, alpha x + beta)), elementwise.
var HardSigmoid = ir.NewOp("hardsigmoid", "max(0, min(1, alpha x + beta)), elementwise", HardSigmoidAttr{})

func init() {
	HardSigmoid.Infer = sameAsFirst
	HardSigmoid.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		a := n.Attr.(HardSigmoidAttr)
		y := b.FMA(in[0], b.F(a.Alpha), b.F(a.Beta))
		return b.Do(loop.Max, b.F(0), b.Do(loop.Min, b.F(1), y))
	}
	ir.FromONNX("", "HardSigmoid", 1, func(c *ir.Import) error {
		in, err := c.NeedAll(1)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(HardSigmoid, HardSigmoidAttr{c.Float("alpha", 0.2), c.Float("beta", 0.5)}, in[0]))
	})
}
