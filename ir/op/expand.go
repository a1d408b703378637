package op

import (
	"errors"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ExpandAttr holds the result's shape.
type ExpandAttr struct{ To ir.DimList }

// Expand repeats a tensor along axes of size 1 and new leading axes, as broadcasting does.
var Expand = ir.NewOp("expand", "repeats along axes of size 1", ExpandAttr{})

func init() {
	Expand.Infer = func(n *ir.Node) error {
		shape, err := ir.BroadcastShapes(n.In[0].Shape, n.Attr.(ExpandAttr).To.List())
		n.Out[0].Elem, n.Out[0].Shape = n.In[0].Elem, shape
		return err
	}
	Expand.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		from, strides := contiguous(in[0].Shape), make([]int64, len(shape))
		for i, d := range in[0].Shape {
			if d != 1 {
				strides[len(shape)-len(from)+i] = from[i]
			}
		}
		return []*ir.Tensor{copyStrided(in[0], shape, 0, strides)}, nil
	}
	Expand.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return in[0], true }
	ir.FromONNX("", "Expand", 8, func(c *ir.Import) error {
		v, err := c.Need(0)
		if err != nil {
			return err
		}
		to, ok, err := c.Dims(1, "")
		if err != nil || !ok {
			return errors.Join(err, missing(ok, "shape"))
		}
		return c.Return1(expand(c, v, to))
	})
	ir.FromONNX("", "ConstantOfShape", 9, func(c *ir.Import) error {
		to, ok, err := c.Dims(0, "")
		if err != nil || !ok {
			return errors.Join(err, missing(ok, "shape"))
		}
		t := ir.NewTensor(loop.F32, 1)
		if a, ok := c.Attrs["value"]; ok && a.T != nil && a.T.Len() == 1 {
			t = a.T
		}
		scalar := &ir.Tensor{Elem: t.Elem, Data: t.Data}
		return c.Return1(expand(c, ir.ConstValue("", scalar), to))
	})
}

func expand(c *ir.Import, v *ir.Value, to []sym.Dim) (*ir.Value, error) {
	shape, err := ir.BroadcastShapes(v.Shape, to)
	if err != nil || ir.SameShape(shape, v.Shape) {
		return v, err
	}
	return c.Emit1(Expand, ExpandAttr{ir.MakeDims(shape)}, v)
}
