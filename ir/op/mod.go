package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ModAttr: with Fmod the result has the sign of a, else of b.
type ModAttr struct{ Fmod bool }

// Mod is the remainder of a / b, with broadcasting.
var Mod = ir.NewOp("mod", "remainder of a / b", ModAttr{})

func init() {
	Mod.Infer = sameAsFirst
	Mod.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		if !n.Attr.(ModAttr).Fmod {
			return b.Do(loop.Mod, in[0], in[1])
		}
		q := b.Do(loop.Div, in[0], in[1])
		return b.Sub(in[0], b.Mul(b.Do(loop.Trunc, q), in[1]))
	}
	Mod.Dim = func(n *ir.Node, in []sym.Dim) (sym.Dim, bool) {
		lo, _ := in[1].Bounds()
		switch {
		case n.Attr.(ModAttr).Fmod:
			return sym.Dim{}, false
		case lo >= 0 && below(in[0], in[1]):
			return in[0], true
		case lo >= 0 && below(in[0].Neg(), in[1]):
			return in[1].Add(in[0]), true
		}
		return in[0].Mod(in[1].Max(sym.Const(1))), lo > 0
	}
	ir.FromONNX("", "Mod", 10, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Mod, ModAttr{Fmod: c.Int("fmod", 0) != 0}, in...))
	})
}

// below reports whether a number above 0 is less than all, but 0, that a size can be: a shift within windows, of an image that is made of them.
func below(n, size sym.Dim) bool {
	k, ok := n.Const()
	if !ok || k < 1 || k >= maxKnown {
		return false
	}
	for c := k + 1; c <= k+maxKnown; c++ {
		if _, ok := size.Div(sym.Const(c)); ok {
			return true
		}
	}
	return false
}
