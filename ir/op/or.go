package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Or is a or b on bools, with broadcasting.
var Or = ir.NewOp("or", "a or b on bools", nil)

func init() {
	binary(Or, "Or", loop.Or, logical, func(a, b sym.Dim) (sym.Dim, bool) { return a.Max(b), true })
}
