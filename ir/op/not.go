package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Not is the negation of a bool, elementwise.
var Not = ir.NewOp("not", "not a", nil)

func init() {
	code(Not, "Not", loop.Not)
	Not.Infer = logical
	Not.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return sym.Const(1).Sub(in[0]), true }
}
