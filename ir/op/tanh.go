package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Tanh is the hyperbolic tangent, elementwise.
var Tanh = ir.NewOp("tanh", "the hyperbolic tangent, elementwise", nil)

func init() { unary(Tanh, "Tanh", f32or("Tanh", (*loop.Builder).Tanh)) }
