package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Softplus is log(1 + e^x), elementwise, computed as max(x, 0) + log1p(e^-|x|): in f64 unless x is f32.
var Softplus = ir.NewOp("softplus", "log(1 + e^x), elementwise", nil)

func init() {
	unary(Softplus, "Softplus", func(b *loop.Builder, x loop.Val) loop.Val {
		if b.Elem(x) == loop.F32 {
			return b.Softplus(x)
		}
		zero := b.C(b.Elem(x), 0, 0)
		small := b.Call("Exp", b.Do(loop.Neg, b.Do(loop.Abs, x)))
		return b.Add(b.Do(loop.Max, x, zero), b.Call("Log1p", small))
	})
}
