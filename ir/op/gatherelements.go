package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// GatherElementsAttr holds the axis that the indices address.
type GatherElementsAttr struct{ Axis int64 }

// GatherElements picks single elements along an axis: result[i, j, k] is data[i, index[i, j, k], k] for the middle axis. Data and indices
// (i32 or i64) have the same sizes on the other axes; a negative index counts from the end.
var GatherElements = ir.NewOp("gatherelements", "picks elements along one axis", GatherElementsAttr{})

func init() {
	GatherElements.Infer = func(n *ir.Node) error {
		data, idx, out := n.In[0], n.In[1], n.Out[0]
		axis, err := axisOf(n.Attr.(GatherElementsAttr).Axis, len(data.Shape))
		if err != nil {
			return err
		}
		if idx.Elem != loop.I64 && idx.Elem != loop.I32 || len(idx.Shape) != len(data.Shape) {
			return fmt.Errorf("indices are %v of rank %d for rank %d", idx.Elem, len(idx.Shape), len(data.Shape))
		}
		for a, d := range data.Shape {
			if a == axis {
				continue
			}
			if d.Same(idx.Shape[a]) == sym.False {
				return ir.NotSupported("indices for a part of axis %d", a)
			}
			if err := ir.Equal(d, idx.Shape[a]); err != nil {
				return err
			}
		}
		out.Elem, out.Shape = data.Elem, idx.Shape
		return nil
	}
	GatherElements.Eval = evalGatherElements
	ir.FromONNX("", "GatherElements", 11, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		axis, err := axisOf(c.Int("axis", 0), len(in[0].Shape))
		if err != nil {
			return err
		}
		return c.Return(c.Emit(GatherElements, GatherElementsAttr{int64(axis)}, in...))
	})
}

func evalGatherElements(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	data, idx := in[0], in[1]
	axis := n.Attr.(GatherElementsAttr).Axis
	out := ir.NewTensor(data.Elem, idx.Shape...)
	size, inner := data.Shape[axis], ir.NumElements(data.Shape[axis+1:])
	for i := range int64(out.Len()) {
		k := idx.At(int(i)).I
		if k < 0 {
			k += size
		}
		if k < 0 || k >= size {
			return nil, fmt.Errorf("index %d is outside axis %d of size %d", idx.At(int(i)).I, axis, size)
		}
		o := i / (idx.Shape[axis] * inner)
		out.Set(int(i), data.At(int((o*size+k)*inner+i%inner)))
	}
	return []*ir.Tensor{out}, nil
}
