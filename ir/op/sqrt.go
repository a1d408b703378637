package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Sqrt is the square root, elementwise.
var Sqrt = ir.NewOp("sqrt", "the square root, elementwise", nil)

func init() { code(Sqrt, "Sqrt", loop.Sqrt) }
