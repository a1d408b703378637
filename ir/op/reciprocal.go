package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Reciprocal is 1/x, elementwise.
var Reciprocal = ir.NewOp("reciprocal", "1/x, elementwise", nil)

func init() {
	unary(Reciprocal, "Reciprocal", func(b *loop.Builder, x loop.Val) loop.Val { return b.Div(b.C(b.Elem(x), 1, 1), x) })
}
