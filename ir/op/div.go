package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Div is a / b; integers truncate, with broadcasting.
var Div = ir.NewOp("div", "a / b; integers truncate", nil)

func init() {
	binary(Div, "Div", loop.Div, sameAsFirst, divDims)
}

// divDims is the truncated quotient where it is exact, or both are known not to be negative, so that it is the floor.
func divDims(a, b sym.Dim) (sym.Dim, bool) {
	if q, ok := a.Div(b); ok {
		return q, true
	}
	alo, _ := a.Bounds()
	blo, _ := b.Bounds()
	if alo < 0 || blo <= 0 {
		return sym.Dim{}, false
	}
	return a.FloorDiv(b), true
}
