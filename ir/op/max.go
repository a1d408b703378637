package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Max is the larger of two operands, with broadcasting; a NaN in either gives NaN.
var Max = ir.NewOp("max", "the larger of a and b", nil)

func init() {
	Max.Infer = sameAsFirst
	Max.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val {
		return propagateNaN(b, loop.Max, in[0], in[1])
	}
	Max.FloatDims = true
	Max.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return in[0].Max(in[1]), true }
	ir.FromONNX("", "Max", 1, readFold(Max))
}
