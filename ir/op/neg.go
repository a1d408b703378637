package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Neg is -x, elementwise.
var Neg = ir.NewOp("neg", "-x, elementwise", nil)

func init() {
	code(Neg, "Neg", loop.Neg)
	Neg.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return in[0].Neg(), true }
	Neg.FloatDims = true
}
