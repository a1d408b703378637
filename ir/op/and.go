package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// And is a and b on bools, with broadcasting.
var And = ir.NewOp("and", "a and b on bools", nil)

func init() {
	binary(And, "And", loop.And, logical, func(a, b sym.Dim) (sym.Dim, bool) { return a.Mul(b), true })
}
