package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Softplus is log(1 + e^x), elementwise, computed as max(x, 0) + log1p(e^-|x|).
var Softplus = ir.NewOp("softplus", "log(1 + e^x), elementwise", nil)

func init() {
	unary(Softplus, "Softplus", func(b *loop.Builder, x loop.Val) loop.Val {
		zero := b.C(b.Elem(x), 0, 0)
		small := b.Call("Exp", b.Do(loop.Neg, b.Do(loop.Abs, x)))
		return b.Add(b.Do(loop.Max, x, zero), b.Call("Log1p", small))
	})
	ir.FromONNX("", "Mish", 18, func(c *ir.Import) error {
		b := &builder{c: c}
		x := b.need(0)
		return b.done(b.mul(x, b.do(Tanh, nil, b.do(Softplus, nil, x))))
	})
}
