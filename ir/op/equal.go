package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Equal is a == b, with broadcasting.
var Equal = ir.NewOp("equal", "a == b", nil)

func init() {
	binary(Equal, "Equal", loop.Eq, sameBool, func(a, b sym.Dim) (sym.Dim, bool) { return truth(a.Same(b)) })
}
