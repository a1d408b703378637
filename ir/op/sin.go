package op

import (
	"mmc/ir"
)

// Sin is the function of that name, elementwise, computed in f64 and rounded.
var Sin = ir.NewOp("sin", "sin(x), elementwise", nil)

func init() { call(Sin, "Sin") }
