package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

// ConcatAttr holds the axis along which the inputs are joined.
type ConcatAttr struct{ Axis int64 }

// Concat joins tensors along one axis.
var Concat = ir.NewOp("concat", "joins tensors along one axis", ConcatAttr{})

func init() {
	Concat.Infer = inferConcat
	Concat.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		out := ir.NewTensor(n.Out[0].Elem, shape...)
		axis := n.Attr.(ConcatAttr).Axis
		row := ir.NumElements(shape[axis:]) * out.Elem.Size()
		at := int64(0)
		for _, t := range in {
			part := ir.NumElements(t.Shape[axis:]) * out.Elem.Size()
			for r := range ir.NumElements(shape[:axis]) {
				copy(out.Data[r*row+at:r*row+at+part], t.Data[r*part:])
			}
			at += part
		}
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "Concat", 1, func(c *ir.Import) error {
		in, err := c.NeedAll(len(c.Inputs))
		if err != nil || len(in) == 0 {
			return errors.Join(err, missing(len(in) > 0, "every input"))
		}
		axis, err := axisOf(c.Int("axis", 0), len(in[0].Shape))
		if err != nil || len(in) == 1 {
			return c.Return1(in[0], err)
		}
		parts := append([]*ir.Value{}, in...)
		for i := range parts {
			if parts[i], err = agree(c, parts[i], parts[0].Shape, axis); err != nil {
				return err
			}
		}
		return c.Return(c.Emit(Concat, ConcatAttr{int64(axis)}, parts...))
	})
}

// undecided reports whether neither that two sizes are equal nor the contrary can be shown, and no fact about one symbol would decide it.
func undecided(a, b sym.Dim) bool {
	var fact *ir.Unify
	err := ir.Equal(a, b)
	return err != nil && !errors.As(err, &fact) && b.Same(a) == sym.Unknown
}

// agree takes it as a fact, checked when the program runs, that a tensor has the sizes of shape on all axes but one, where neither
// that nor the contrary can be shown: an image whose size is a multiple of what a detector halves, for example.
func agree(c *ir.Import, v *ir.Value, shape []sym.Dim, but int) (*ir.Value, error) {
	if len(v.Shape) != len(shape) {
		return v, nil
	}
	starts, sizes, steps := whole(v.Shape)
	changed := false
	for a, d := range v.Shape {
		if a == but || !undecided(shape[a], d) {
			continue
		}
		why := "the sizes at " + c.From
		c.Graph.Requires = append(c.Graph.Requires, ir.Require{Small: shape[a], Large: d, Why: why}, ir.Require{Small: d, Large: shape[a], Why: why})
		sizes[a], changed = shape[a], true
	}
	if !changed {
		return v, nil
	}
	return slice(c, v, starts, sizes, steps)
}

func inferConcat(n *ir.Node) error {
	first, out := n.In[0], n.Out[0]
	axis, err := axisOf(n.Attr.(ConcatAttr).Axis, len(first.Shape))
	if err != nil {
		return err
	}
	out.Elem, out.Shape = first.Elem, append([]sym.Dim{}, first.Shape...)
	out.Shape[axis] = sym.Const(0)
	known := len(first.Shape) == 1
	for _, v := range n.In {
		if v.Elem != first.Elem {
			return mixed(n)
		}
		if len(v.Shape) != len(first.Shape) {
			return fmt.Errorf("ranks %d and %d differ", len(v.Shape), len(first.Shape))
		}
		for a, d := range v.Shape {
			if a == axis {
				out.Shape[a] = out.Shape[a].Add(d)
			} else if err := ir.Equal(out.Shape[a], d); err != nil {
				return fmt.Errorf("axis %d: %w", a, err)
			}
		}
		part := v.Elements()
		known = known && part != nil
		out.Dims = append(out.Dims, part...)
	}
	if !known {
		out.Dims = nil
	}
	return nil
}
