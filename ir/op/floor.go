package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Floor is the next integer below, elementwise.
var Floor = ir.NewOp("floor", "the next integer below, elementwise", nil)

func init() { code(Floor, "Floor", loop.Floor) }
