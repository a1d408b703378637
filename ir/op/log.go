package op

import (
	"mmc/ir"
)

// Log is the function of that name, elementwise, computed in f64 and rounded.
var Log = ir.NewOp("log", "log(x), elementwise", nil)

func init() { call(Log, "Log") }
