package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Sub is a - b, with broadcasting.
var Sub = ir.NewOp("sub", "a - b", nil)

func init() {
	binary(Sub, "Sub", loop.Sub, sameAsFirst, func(a, b sym.Dim) (sym.Dim, bool) { return a.Sub(b), true })
	Sub.FloatDims = true
}
