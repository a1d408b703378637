package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// CastAttr holds the result's element type.
type CastAttr struct{ To loop.Elem }

// Cast changes the element type: floats truncate towards zero and saturate on the way to integers; anything to bool is != 0.
var Cast = ir.NewOp("cast", "changes the element type", CastAttr{})

func init() {
	Cast.Infer = func(n *ir.Node) error {
		n.Out[0].Elem, n.Out[0].Shape = n.Attr.(CastAttr).To, n.In[0].Shape
		return nil
	}
	Cast.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		return b.Convert(n.Attr.(CastAttr).To, in[0])
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
		return c.Return1(cast(c, in[0], to))
	})
	ir.FromONNX("", "CastLike", 15, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		return c.Return1(cast(c, in[0], in[1].Elem))
	})
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
	return b.cast(v, to)
}
