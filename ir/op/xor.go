package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Xor is a xor b on bools, with broadcasting.
var Xor = ir.NewOp("xor", "a xor b on bools", nil)

func init() {
	binary(Xor, "Xor", loop.Xor, logical, nil)
}
