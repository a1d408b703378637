package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Mish is x tanh(softplus(x)), elementwise (Misra, 2019).
var Mish = ir.NewOp("mish", "x tanh(softplus(x)), elementwise", nil)

func init() {
	Mish.Infer = sameAsFirst
	Mish.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val { return b.Mish(in[0]) }
	ir.FromONNX("", "Mish", 18, func(c *ir.Import) error {
		b := &builder{c: c}
		x := b.need(0)
		if b.err == nil && x.Elem == loop.F32 {
			return b.done(b.do(Mish, nil, x))
		}
		return b.done(b.mul(x, b.do(Tanh, nil, b.do(Softplus, nil, x))))
	})
}
