package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Neg is -x, elementwise.
var Neg = ir.NewOp("neg", "-x, elementwise", nil)

func init() { code(Neg, "Neg", loop.Neg) }
