package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// LeakyReluAttr holds the slope below zero.
type LeakyReluAttr struct{ Alpha float32 }

// LeakyRelu is x for x >= 0 and alpha x below, elementwise.
var LeakyRelu = ir.NewOp("leakyrelu", "x < 0 ? alpha x : x, elementwise", LeakyReluAttr{})

func init() {
	LeakyRelu.Infer = sameAsFirst
	LeakyRelu.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		x := in[0]
		return b.Do(loop.Select, b.Do(loop.Lt, x, b.F(0)), b.Mul(x, b.F(n.Attr.(LeakyReluAttr).Alpha)), x)
	}
	ir.FromONNX("", "LeakyRelu", 1, func(c *ir.Import) error {
		in, err := c.NeedAll(1)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(LeakyRelu, LeakyReluAttr{Alpha: c.Float("alpha", 0.01)}, in[0]))
	})
}
