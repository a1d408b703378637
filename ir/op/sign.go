package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Sign is -1, 0 or 1, elementwise.
var Sign = ir.NewOp("sign", "-1, 0 or 1, elementwise", nil)

func init() {
	unary(Sign, "Sign", func(b *loop.Builder, x loop.Val) loop.Val {
		e := b.Elem(x)
		zero := b.C(e, 0, 0)
		pos := b.Do(loop.Select, b.Do(loop.Lt, zero, x), b.C(e, 1, 1), x)
		return b.Do(loop.Select, b.Do(loop.Lt, x, zero), b.C(e, -1, -1), pos)
	})
}
