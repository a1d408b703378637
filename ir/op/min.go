package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Min is the smaller of two operands, with broadcasting; a NaN in either gives NaN.
var Min = ir.NewOp("min", "the smaller of a and b", nil)

func init() {
	Min.Infer = sameAsFirst
	Min.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val {
		return propagateNaN(b, loop.Min, in[0], in[1])
	}
	Min.FloatDims = true
	Min.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return in[0].Min(in[1]), true }
	ir.FromONNX("", "Min", 1, readFold(Min))
}

// propagateNaN is Min or Max with a NaN in a kept too; the code itself only keeps one in b.
func propagateNaN(b *loop.Builder, c loop.Code, x, y loop.Val) loop.Val {
	r := b.Do(c, x, y)
	if !b.Elem(x).Float() {
		return r
	}
	return b.Do(loop.Select, b.Do(loop.Eq, x, x), r, x)
}

// readFold reads a variadic ONNX operator as a chain of binary ones.
func readFold(op *ir.Op) func(*ir.Import) error {
	return func(c *ir.Import) error {
		v, err := c.Need(0)
		for i := 1; i < len(c.Inputs) && err == nil; i++ {
			v, err = c.Emit1(op, nil, v, c.Inputs[i])
		}
		return c.Return1(v, err)
	}
}
