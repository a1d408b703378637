package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// CastAttr holds the result's element type. With Wrap a narrow float that would be beyond its greatest number becomes infinity or NaN.
type CastAttr struct {
	To   loop.Elem
	Wrap bool
}

// Cast changes the element type: floats truncate towards zero and saturate on the way to integers; anything to bool is != 0.
var Cast = ir.NewOp("cast", "changes the element type", CastAttr{})

func init() {
	Cast.Infer = func(n *ir.Node) error {
		to := n.Attr.(CastAttr).To
		if to.Size() == 0 {
			return fmt.Errorf("a cast to %v", to)
		}
		n.Out[0].Elem, n.Out[0].Shape = to, n.In[0].Shape
		return nil
	}
	Cast.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		a, x := n.Attr.(CastAttr), in[0]
		f, small := loop.Small[a.To]
		if !small || a.Wrap || a.To == loop.F8E8M0 {
			return b.Convert(a.To, x)
		}
		most := float32(0)
		for c := range 128 {
			if v := f.Decode(uint8(c)); v > most && !math.IsInf(float64(v), 0) {
				most = v
			}
		}
		x = b.Convert(loop.F32, x)
		x = b.Do(loop.Select, b.Do(loop.Lt, b.F(most), x), b.F(most), x)
		x = b.Do(loop.Select, b.Do(loop.Lt, x, b.F(-most)), b.F(-most), x)
		return b.Convert(a.To, x)
	}
	Cast.FloatDims = true
	Cast.Dim = func(n *ir.Node, in []sym.Dim) (sym.Dim, bool) {
		to := n.Attr.(CastAttr).To
		if to == loop.Bool {
			eq, ok := truth(in[0].Same(sym.Const(0)))
			return sym.Const(1).Sub(eq), ok
		}
		return in[0], to == loop.I64 || to == loop.I32 || to == loop.F32 && n.In[0].Elem.Integer()
	}
	ir.FromONNX("", "Cast", 6, func(c *ir.Import) error {
		in, err := c.NeedAll(1)
		if err != nil {
			return err
		}
		to, err := ir.ElemFromONNX(c.Int("to", 0))
		if err != nil {
			return err
		}
		return c.Return1(readCast(c, in[0], to))
	})
	ir.FromONNX("", "CastLike", 15, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		return c.Return1(readCast(c, in[0], in[1].Elem))
	})
}

// readCast is a Cast with the node's attributes.
func readCast(c *ir.Import, v *ir.Value, to loop.Elem) (*ir.Value, error) {
	if c.Str("round_mode", "up") != "up" && to == loop.F8E8M0 {
		return nil, ir.NotSupported("Cast to f8e8m0 with rounding %.40q", c.Str("round_mode", ""))
	}
	if v.Elem == to {
		return v, nil
	}
	return c.Emit1(Cast, CastAttr{to, c.Int("saturate", 1) == 0}, v)
}

// cast converts v, or returns it as it is if it has the type already.
func cast(c *ir.Import, v *ir.Value, to loop.Elem) (*ir.Value, error) {
	if v.Elem == to {
		return v, nil
	}
	return c.Emit1(Cast, CastAttr{To: to}, v)
}

// narrowed converts to a narrow float; with saturate what is beyond its greatest number becomes that.
func (b *builder) narrowed(v *ir.Value, to loop.Elem, saturate bool) *ir.Value {
	return b.do(Cast, CastAttr{to, !saturate}, v)
}
