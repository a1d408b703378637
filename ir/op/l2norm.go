package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// L2NormAttr holds the least that is divided by; 0 for the norm as it is.
type L2NormAttr struct{ Least float32 }

// L2Norm is x / max(|x|, Least) over the last axis, |x| the square root of the sum of squares: cosine attention (Liu et al., 2022) and
// embeddings that are compared by their angle.
var L2Norm = ir.NewOp("l2norm", "divides the last axis by its length", L2NormAttr{})

func init() {
	L2Norm.Infer = func(n *ir.Node) error { return inferNorm(n, 1) }
	L2Norm.Row = func(n *ir.Node) *loop.Kernel {
		b := loop.NewBuilder(n.Op.Name)
		x, y := b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
		var squares loop.Val
		b.Loop(func() {
			v := b.Load(x)
			squares = b.Reduce(loop.DotLanes, v, v)
		})
		length := b.Do(loop.Sqrt, squares)
		if least := n.Attr.(L2NormAttr).Least; least != 0 {
			length = Max.Elem(b, n, []loop.Val{length, b.F(least)})
		}
		b.Loop(func() { b.Store(y, b.Div(b.Load(x), length)) })
		return b.Kernel()
	}
}
