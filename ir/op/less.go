package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Less is a < b, with broadcasting.
var Less = ir.NewOp("less", "a < b", nil)

func init() {
	binary(Less, "Less", loop.Lt, sameBool, func(a, b sym.Dim) (sym.Dim, bool) { return truth(a.Add(sym.Const(1)).LessEq(b)) })
}

func init() { ir.FromONNX("", "Greater", 1, readSwapped(Less)) }

// readSwapped reads a comparison as its mirror image.
func readSwapped(op *ir.Op) func(*ir.Import) error {
	return func(c *ir.Import) error {
		in, err := legacyOperands(c)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(op, nil, in[1], in[0]))
	}
}
