package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Mul is a * b, with broadcasting.
var Mul = ir.NewOp("mul", "a * b", nil)

func init() {
	binary(Mul, "Mul", loop.Mul, sameAsFirst, func(a, b sym.Dim) (sym.Dim, bool) { return a.Mul(b), true })
	Mul.FloatDims = true
}
