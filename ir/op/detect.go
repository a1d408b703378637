package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// Operators whose result is as long as the data says.

// NMSAttr: the boxes are centre and size; Count is the number of boxes kept.
type NMSAttr struct {
	Centre bool
	Count  ir.Count
}

// CountAttr holds the size that depends on data.
type CountAttr struct{ Count ir.Count }

// CompressAttr holds the axis and the number of slices kept.
type CompressAttr struct {
	Axis  int64
	Count ir.Count
}

// UniqueAttr: Sorted rather than in order of appearance; Count is how many there are.
type UniqueAttr struct {
	Sorted bool
	Count  ir.Count
}

var (
	NonMaxSuppression = ir.NewOp("nonmaxsuppression", "boxes that overlap no better one", NMSAttr{})
	NonZero           = ir.NewOp("nonzero", "indices of the elements that are not zero", CountAttr{})
	Unique            = ir.NewOp("unique", "the different slices of the first axis", UniqueAttr{})
	Compress          = ir.NewOp("compress", "slices where a condition holds", CompressAttr{})
)

func init() {
	NonMaxSuppression.Infer = func(n *ir.Node) error {
		if len(n.In) != 5 {
			return fmt.Errorf("%d inputs", len(n.In))
		}
		boxes, scores := n.In[0], n.In[1]
		if boxes.Elem != loop.F32 || scores.Elem != loop.F32 || len(boxes.Shape) != 3 || len(scores.Shape) != 3 || !boxes.Shape[2].Is(4) {
			return fmt.Errorf("boxes %v%v and scores %v%v", boxes.Elem, boxes.Shape, scores.Elem, scores.Shape)
		}
		for i, v := range n.In[2:] {
			want := []loop.Elem{loop.I64, loop.F32, loop.F32}[i]
			if v != nil && (v.Elem != want || !sym.Product(v.Shape).Is(1)) {
				return fmt.Errorf("input %d is %v%v", i+2, v.Elem, v.Shape)
			}
		}
		for _, a := range [][2]sym.Dim{{boxes.Shape[0], scores.Shape[0]}, {boxes.Shape[1], scores.Shape[2]}} {
			if err := ir.Equal(a[0], a[1]); err != nil {
				return err
			}
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.I64, dims(n.Attr.(NMSAttr).Count.Dim(), 3)
		return nil
	}
	NonMaxSuppression.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(NMSAttr)
		centre := int64(0)
		if a.Centre {
			centre = 1
		}
		return ir.PlainCall{Func: "NonMaxSuppression", Ints: []int64{centre}, Count: a.Count}
	}
	NonMaxSuppression.Run = plain.NonMaxSuppression
}

func init() {
	NonZero.Infer = func(n *ir.Node) error {
		n.Out[0].Elem, n.Out[0].Shape = loop.I64, dims(len(n.In[0].Shape), n.Attr.(CountAttr).Count.Dim())
		return nil
	}
	NonZero.Plain = func(n *ir.Node) ir.PlainCall { return ir.PlainCall{Func: "NonZero", Count: n.Attr.(CountAttr).Count} }
	NonZero.Run = plain.NonZero
	Compress.Infer = func(n *ir.Node) error {
		a, v := n.Attr.(CompressAttr), n.In[0]
		if n.In[1].Elem != loop.Bool || len(n.In[1].Shape) != 1 || int(a.Axis) >= len(v.Shape) || a.Axis < 0 {
			return fmt.Errorf("a condition of %v%v along axis %d of %d", n.In[1].Elem, n.In[1].Shape, a.Axis, len(v.Shape))
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[:a.Axis], a.Count.Dim(), v.Shape[a.Axis+1:])
		return nil
	}
	Compress.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(CompressAttr)
		return ir.PlainCall{Func: "Compress", Ints: []int64{a.Axis}, Count: a.Count}
	}
	Compress.Run = plain.Compress
}

func init() {
	Unique.NumOut = 4
	Unique.Infer = func(n *ir.Node) error {
		v, count := n.In[0], n.Attr.(UniqueAttr).Count.Dim()
		if len(v.Shape) < 1 || v.Elem.Stored() {
			return ir.NotSupported("Unique of %v of rank %d", v.Elem, len(v.Shape))
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(count, v.Shape[1:])
		for i, d := range []sym.Dim{count, v.Shape[0], count} {
			n.Out[1+i].Elem, n.Out[1+i].Shape = loop.I64, dims(d)
		}
		return nil
	}
	Unique.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(UniqueAttr)
		return ir.PlainCall{Func: "Unique", Ints: []int64{b2i(a.Sorted)}, Count: a.Count}
	}
	Unique.Run = plain.Unique
	ir.FromONNX("", "Unique", 11, readUnique)
	ir.FromONNX("", "NonMaxSuppression", 10, readNMS)
	ir.FromONNX("", "NonZero", 9, func(c *ir.Import) error {
		x, err := c.Need(0)
		if err != nil {
			return err
		}
		if len(x.Shape) == 0 {
			if x, err = reshape(c, x, dims(1)); err != nil {
				return err
			}
		}
		return c.Return(c.Emit(NonZero, CountAttr{c.Graph.NewCount(sym.Product(x.Shape))}, x))
	})
	ir.FromONNX("", "Compress", 9, readCompress)
}

// readNMS bounds the number of boxes by the most a class if that is known, else by all boxes.
func readNMS(c *ir.Import) error {
	in := make([]*ir.Value, 5)
	for i := range in {
		in[i] = c.Value(i)
	}
	if in[0] == nil || in[1] == nil || len(in[1].Shape) != 3 {
		return fmt.Errorf("boxes and scores of rank 3 are needed")
	}
	each := in[1].Shape[2]
	if in[2] != nil && in[2].Const != nil && in[2].Const.Len() == 1 {
		each = each.Min(sym.Const(max(in[2].Const.At(0).I, 0)))
	}
	count := c.Graph.NewCount(in[1].Shape[0].Mul(in[1].Shape[1]).Mul(each))
	return c.Return(c.Emit(NonMaxSuppression, NMSAttr{c.Int("center_point_box", 0) != 0, count}, in...))
}

func readCompress(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	x, axis := in[0], 0
	if a, ok := c.Attrs["axis"]; ok {
		axis, err = axisOf(a.I, len(x.Shape))
	} else {
		x, err = reshape(c, x, dims(sym.Product(x.Shape)))
	}
	if err != nil {
		return err
	}
	return c.Return(c.Emit(Compress, CompressAttr{int64(axis), c.Graph.NewCount(x.Shape[axis])}, x, in[1]))
}

// readUnique moves the axis to the front; without one all elements are slices.
func readUnique(c *ir.Import) error {
	b := &builder{c: c}
	x, axis := b.need(0), 0
	if b.err != nil {
		return b.err
	}
	if a, ok := c.Attrs["axis"]; ok {
		var err error
		if axis, err = axisOf(a.I, len(x.Shape)); err != nil {
			return err
		}
		x = b.transpose(x, swapped(len(x.Shape), 0, axis)...)
	} else {
		x = b.reshape(x, dims(sym.Product(x.Shape)))
	}
	if b.err != nil {
		return b.err
	}
	out := b.all(Unique, UniqueAttr{c.Int("sorted", 1) != 0, c.Graph.NewCount(x.Shape[0])}, x)
	out[0] = b.transpose(out[0], swapped(len(x.Shape), 0, axis)...)
	return b.done(out...)
}
