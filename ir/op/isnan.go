package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// IsNaN tells which elements are not a number.
var IsNaN = ir.NewOp("isnan", "which elements are NaN", nil)

func init() {
	unary(IsNaN, "IsNaN", func(b *loop.Builder, x loop.Val) loop.Val { return b.Do(loop.Not, b.Do(loop.Eq, x, x)) })
	IsNaN.Infer = sameBool
}
