package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// GatherND picks slices of data by tuples: the last axis of the indices holds a place in data's first axes.
var GatherND = ir.NewOp("gathernd", "picks slices by tuples of indices", nil)

func init() {
	GatherND.Infer = func(n *ir.Node) error {
		data, idx, out := n.In[0], n.In[1], n.Out[0]
		if idx.Elem != loop.I64 || len(idx.Shape) == 0 {
			return fmt.Errorf("indices are %v of rank %d", idx.Elem, len(idx.Shape))
		}
		last := len(idx.Shape) - 1
		k, ok := idx.Shape[last].Const()
		if !ok || k > int64(len(data.Shape)) {
			return fmt.Errorf("tuples of %v for rank %d", idx.Shape[last], len(data.Shape))
		}
		out.Elem = data.Elem
		out.Shape = append(append([]sym.Dim{}, idx.Shape[:last]...), data.Shape[k:]...)
		return nil
	}
	GatherND.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		out := ir.NewTensor(in[0].Elem, shape...)
		k := int(in[1].Shape[len(in[1].Shape)-1])
		strides := contiguous(in[0].Shape)
		inner := ir.NumElements(in[0].Shape[k:])
		size := in[0].Elem.Size()
		for t := range in[1].Len() / max(k, 1) {
			at := int64(0)
			for a := range k {
				i := in[1].At(t*k + a).I
				if i < 0 {
					i += in[0].Shape[a]
				}
				if i < 0 || i >= in[0].Shape[a] {
					return nil, fmt.Errorf("index %d is outside axis %d of size %d", in[1].At(t*k+a).I, a, in[0].Shape[a])
				}
				at += i * strides[a]
			}
			copy(out.Data[int64(t)*inner*size:(int64(t)+1)*inner*size], in[0].Data[at*size:])
		}
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "GatherND", 11, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		idx, err := batchIndices(c, in[0], in[1], int(c.Int("batch_dims", 0)))
		if err != nil {
			return err
		}
		return c.Return(c.Emit(GatherND, nil, in[0], idx))
	})
}

// batchIndices puts the places along so many leading axes, which data and indices share, in front of the indices.
func batchIndices(c *ir.Import, data, idx *ir.Value, axes int) (*ir.Value, error) {
	if axes < 0 || axes >= len(data.Shape) || axes >= len(idx.Shape) {
		return nil, fmt.Errorf("%d batch axes of data %v and indices %v", axes, data.Shape, idx.Shape)
	}
	b := &builder{c: c}
	lead := idx.Shape[:len(idx.Shape)-1]
	var parts []*ir.Value
	for a := range axes {
		if err := ir.Equal(data.Shape[a], idx.Shape[a]); err != nil {
			return nil, err
		}
		place := b.cast(b.reshape(b.iota(0, lead[a]), column(lead[a], len(lead)-a)), idx.Elem)
		parts = append(parts, b.expand(place, dims(lead, 1)))
	}
	all := b.concat(len(lead), append(parts, idx)...)
	return all, b.err
}
