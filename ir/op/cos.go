package op

import (
	"mmc/ir"
)

// Cos is the function of that name, elementwise, computed in f64 and rounded.
var Cos = ir.NewOp("cos", "cos(x), elementwise", nil)

func init() { call(Cos, "Cos") }
