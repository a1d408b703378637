package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Erf is the error function, elementwise.
var Erf = ir.NewOp("erf", "the error function, elementwise", nil)

func init() { unary(Erf, "Erf", f32or("Erf", (*loop.Builder).Erf)) }
