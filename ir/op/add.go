package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Add is a + b, with broadcasting.
var Add = ir.NewOp("add", "a + b", nil)

func init() {
	binary(Add, "Add", loop.Add, sameAsFirst, func(a, b sym.Dim) (sym.Dim, bool) { return a.Add(b), true })
	Add.FloatDims = true
}
