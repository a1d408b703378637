package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Ceil is the next integer above, elementwise.
var Ceil = ir.NewOp("ceil", "the next integer above, elementwise", nil)

func init() { code(Ceil, "Ceil", loop.Ceil) }
