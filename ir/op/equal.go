package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Equal is a == b, with broadcasting.
var Equal = ir.NewOp("equal", "a == b", nil)

func init() {
	ir.FromONNX("", "Equal", 19, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		b := &builder{c: c}
		return b.done(b.do(Equal, nil, b.numbers(in[0]), b.numbers(in[1])))
	})
	binary(Equal, "Equal", loop.Eq, sameBool, func(a, b sym.Dim) (sym.Dim, bool) { return truth(a.Same(b)) })
}
