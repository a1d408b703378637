package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Sigmoid is 1 / (1 + e^-x), elementwise.
var Sigmoid = ir.NewOp("sigmoid", "1 / (1 + e^-x), elementwise", nil)

func init() { unary(Sigmoid, "Sigmoid", (*loop.Builder).Sigmoid) }
