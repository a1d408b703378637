package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Relu is max(x, 0), elementwise.
var Relu = ir.NewOp("relu", "max(x, 0), elementwise", nil)

func init() {
	unary(Relu, "Relu", func(b *loop.Builder, x loop.Val) loop.Val {
		return b.Do(loop.Max, b.C(b.Elem(x), 0, 0), x)
	})
}
