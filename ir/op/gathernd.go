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
		if c.Int("batch_dims", 0) != 0 {
			return ir.NotSupported("GatherND with batch_dims")
		}
		return c.Return(c.Emit(GatherND, nil, in...))
	})
}
