package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// Pow is a^b, with broadcasting. Constant exponents 1, 2, 3, 0.5 and 0.75 are products and square roots.
var Pow = ir.NewOp("pow", "a^b", nil)

func init() {
	Pow.Infer = sameAsFirst
	Pow.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		e, isConst := constExponent(n.In[1])
		switch {
		case isConst && e == 1:
			return in[0]
		case isConst && e == 2:
			return b.Mul(in[0], in[0])
		case isConst && e == 3:
			return b.Mul(b.Mul(in[0], in[0]), in[0])
		case isConst && e == 0.5 && b.Elem(in[0]).Float():
			return b.Do(loop.Sqrt, in[0])
		case isConst && e == 0.75 && b.Elem(in[0]).Float(): // what LRN raises to
			root := b.Do(loop.Sqrt, in[0])
			return b.Mul(root, b.Do(loop.Sqrt, root))
		case b.Elem(in[0]).Float():
			return b.Call("Pow", in[0], in[1])
		}
		x := b.Call("Pow", b.Convert(loop.F64, in[0]), b.Convert(loop.F64, in[1]))
		return b.Convert(b.Elem(in[0]), x)
	}
	ir.FromONNX("", "Pow", 1, func(c *ir.Import) error {
		in, err := legacyOperands(c)
		if err != nil {
			return err
		}
		e, err := cast(c, in[1], in[0].Elem)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Pow, nil, in[0], e))
	})
}

func constExponent(v *ir.Value) (float64, bool) {
	if v.Const == nil || v.Const.Len() != 1 {
		return 0, false
	}
	s := v.Const.At(0)
	return s.F + float64(s.I), true
}
