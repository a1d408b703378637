package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Round is the nearest integer, ties to even, elementwise.
var Round = ir.NewOp("round", "the nearest integer, ties to even, elementwise", nil)

func init() { code(Round, "Round", loop.Round) }
