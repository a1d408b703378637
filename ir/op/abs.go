package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Abs is |x|, elementwise.
var Abs = ir.NewOp("abs", "|x|, elementwise", nil)

func init() { code(Abs, "Abs", loop.Abs) }
