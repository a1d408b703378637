package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// GatherAttr holds the axis that the indices address.
type GatherAttr struct{ Axis int64 }

// Gather picks slices of data along one axis by an integer tensor: the result's shape is data's with that axis replaced by the
// indices' shape. A negative index counts from the end; an index outside is an error when the program runs.
var Gather = ir.NewOp("gather", "picks slices along one axis", GatherAttr{})

func init() {
	Gather.Infer = func(n *ir.Node) error {
		data, idx, out := n.In[0], n.In[1], n.Out[0]
		axis, err := axisOf(n.Attr.(GatherAttr).Axis, len(data.Shape))
		if err != nil {
			return err
		}
		if idx.Elem != loop.I64 && idx.Elem != loop.I32 {
			return fmt.Errorf("indices are %v", idx.Elem)
		}
		out.Elem = data.Elem
		out.Shape = append(append(append([]sym.Dim{}, data.Shape[:axis]...), idx.Shape...), data.Shape[axis+1:]...)
		out.Dims = gatherDims(data, idx)
		return nil
	}
	Gather.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		return gather(in[0], in[1], int(n.Attr.(GatherAttr).Axis), ir.NewTensor(in[0].Elem, shape...))
	}
	ir.FromONNX("", "Gather", 1, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		axis, err := axisOf(c.Int("axis", 0), len(in[0].Shape))
		if err != nil {
			return err
		}
		if at := in[1].Contents(); len(at) == 1 && len(in[1].Shape) == 0 && countsWithin(c.Graph, at[0], in[0].Shape[axis]) {
			b := &builder{c: c}
			part := b.slice(in[0], axis, at[0], sym.Const(1))
			return b.done(b.reshape(part, dims(in[0].Shape[:axis], in[0].Shape[axis+1:])))
		}
		return c.Return(c.Emit(Gather, GatherAttr{int64(axis)}, in...))
	})
}

// countsWithin reports whether a place that counts with a loop surely lies within an axis.
func countsWithin(g *ir.Graph, at, size sym.Dim) bool {
	for s, trips := range g.Trips {
		first, last := at.Subst(map[string]sym.Dim{s: sym.Const(0)}), at.Subst(map[string]sym.Dim{s: trips.Sub(sym.Const(1))})
		if first == at {
			continue
		}
		for _, d := range []sym.Dim{first, last} {
			below, _ := d.Bounds()
			above, _ := size.Sub(d).Sub(sym.Const(1)).Bounds()
			if below < 0 || above < 0 {
				return false
			}
		}
		return true
	}
	return false
}

func gatherDims(data, idx *ir.Value) []sym.Dim {
	at := idx.Contents()
	if at == nil || len(data.Shape) != 1 {
		return nil
	}
	out := make([]sym.Dim, len(at))
	for i, d := range at {
		k, ok := d.Const()
		if !ok {
			return nil
		}
		if k < 0 {
			d = data.Shape[0].Add(d)
		}
		if out[i], ok = elementAt(data, d); !ok {
			return nil
		}
	}
	return out
}

func gather(data, idx *ir.Tensor, axis int, out *ir.Tensor) ([]*ir.Tensor, error) {
	size := data.Shape[axis]
	inner := ir.NumElements(data.Shape[axis+1:]) * data.Elem.Size()
	n := int64(idx.Len())
	for o := range ir.NumElements(data.Shape[:axis]) {
		for i := range n {
			k := idx.At(int(i)).I
			if k < 0 {
				k += size
			}
			if k < 0 || k >= size {
				return nil, fmt.Errorf("index %d is outside axis %d of size %d", idx.At(int(i)).I, axis, size)
			}
			copy(out.Data[(o*n+i)*inner:(o*n+i+1)*inner], data.Data[(o*size+k)*inner:])
		}
	}
	return []*ir.Tensor{out}, nil
}
