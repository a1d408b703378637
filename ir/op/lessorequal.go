package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// LessOrEqual is a <= b, with broadcasting.
var LessOrEqual = ir.NewOp("lessorequal", "a <= b", nil)

func init() {
	binary(LessOrEqual, "LessOrEqual", loop.Le, sameBool, func(a, b sym.Dim) (sym.Dim, bool) { return truth(a.LessEq(b)) })
}

func init() { ir.FromONNX("", "GreaterOrEqual", 12, readSwapped(LessOrEqual)) }
