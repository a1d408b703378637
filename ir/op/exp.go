package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Exp is e^x, elementwise.
var Exp = ir.NewOp("exp", "e^x, elementwise", nil)

func init() { unary(Exp, "Exp", f32or("Exp", (*loop.Builder).Exp)) }
