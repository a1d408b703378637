package op

import (
	"cmp"
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// TopKAttr: the K greatest elements of a row, one number, or, with Least, the least.
type TopKAttr struct {
	K     ir.DimList
	Least bool
}

// TopK is the greatest elements of the last axis, in order, and their indices (i64); of equal elements the first comes first.
var TopK = ir.NewOp("topk", "the greatest elements of the last axis and their indices", TopKAttr{})

// ordered are the element types of TopK; the others are read as one that holds them.
var ordered = []loop.Elem{loop.F32, loop.F64, loop.I32, loop.I64, loop.U64}

func init() {
	TopK.NumOut = 2
	TopK.Infer = func(n *ir.Node) error {
		v, ks := n.In[0], n.Attr.(TopKAttr).K.List()
		if !slices.Contains(ordered, v.Elem) || len(v.Shape) == 0 {
			return ir.NotSupported("TopK of %v of rank %d", v.Elem, len(v.Shape))
		}
		last := len(v.Shape) - 1
		if len(ks) != 1 || ks[0].LessEq(sym.Const(-1)) == sym.True || ks[0].LessEq(v.Shape[last]) == sym.False {
			return fmt.Errorf("the greatest %v of %v elements", ks, v.Shape[last])
		}
		shape := append(append([]sym.Dim{}, v.Shape[:last]...), ks[0])
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, shape
		n.Out[1].Elem, n.Out[1].Shape = loop.I64, shape
		return nil
	}
	TopK.Eval = evalTopK
	ir.FromONNX("", "TopK", 1, readTopK)
	ir.FromONNX("", "ArgMax", 1, func(c *ir.Import) error { return readArgMax(c, false) })
	ir.FromONNX("", "ArgMin", 1, func(c *ir.Import) error { return readArgMax(c, true) })
}

func evalTopK(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	a, x := n.Attr.(TopKAttr), in[0]
	width := int(x.Shape[len(x.Shape)-1])
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	most := int(shape[len(shape)-1])
	if width < most {
		return nil, fmt.Errorf("the greatest %d of %d elements", most, width)
	}
	vals, idx := ir.NewTensor(x.Elem, shape...), ir.NewTensor(loop.I64, shape...)
	order := make([]int, width)
	for r := range x.Len() / max(width, 1) {
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int {
			p, q := x.At(r*width+i), x.At(r*width+j)
			if a.Least {
				p, q = q, p
			}
			if x.Elem == loop.U64 {
				return cmp.Compare(uint64(q.I), uint64(p.I))
			}
			return cmp.Or(compareFloats(q.F, p.F), cmp.Compare(q.I, p.I))
		})
		for k := range most {
			vals.Set(r*most+k, x.At(r*width+order[k]))
			idx.Set(r*most+k, loop.Scalar{I: int64(order[k])})
		}
	}
	return []*ir.Tensor{vals, idx}, nil
}

// compareFloats holds what is not a number for equal to all.
func compareFloats(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// readTopK reads TopK of any axis; K is an attribute before opset 10.
func readTopK(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	k := sym.Consts(c.Int("k", -1))
	if c.Opset >= 10 {
		var ok bool
		if k, ok, err = c.Dims(1, ""); err != nil {
			return err
		}
		if !ok || len(k) != 1 {
			return fmt.Errorf("K is not one number")
		}
	}
	axis, err := axisOf(c.Int("axis", -1), len(v.Shape))
	if err != nil {
		return err
	}
	for _, r := range [][2]sym.Dim{{sym.Const(0), k[0]}, {k[0], v.Shape[axis]}} {
		if r[0].LessEq(r[1]) == sym.Unknown {
			c.Graph.Requires = append(c.Graph.Requires, ir.Require{Small: r[0], Large: r[1], Why: "the number of elements that are kept at " + c.From})
		}
	}
	a := TopKAttr{K: ir.MakeDims(k), Least: c.Int("largest", 1) == 0}
	out, err := topAlong(c, v, axis, a)
	return c.Return(out, err)
}

// topAlong is TopK along an axis.
func topAlong(c *ir.Import, v *ir.Value, axis int, a TopKAttr) ([]*ir.Value, error) {
	if own := v.Elem; !slices.Contains(ordered, own) && own != loop.String {
		wide := loop.I64
		if own.Float() {
			wide = loop.F32
		}
		b := &builder{c: c}
		v = b.cast(v, wide)
		if b.err != nil {
			return nil, b.err
		}
		out, err := topAlong(c, v, axis, a)
		if err != nil {
			return nil, err
		}
		return []*ir.Value{b.cast(out[0], own), out[1]}, b.err
	}
	last := len(v.Shape) - 1
	if axis == last {
		return c.Emit(TopK, a, v)
	}
	perm := swapped(len(v.Shape), axis, last)
	moved, err := transpose(c, v, perm...)
	if err != nil {
		return nil, err
	}
	top, err := c.Emit(TopK, a, moved)
	if err != nil {
		return nil, err
	}
	out := make([]*ir.Value, len(top))
	for i, v := range top {
		if out[i], err = transpose(c, v, perm...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readArgMax(c *ir.Import, least bool) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axis, err := axisOf(c.Int("axis", 0), len(v.Shape))
	if err != nil {
		return err
	}
	b := &builder{c: c}
	last := c.Int("select_last_index", 0) != 0
	from := v.Shape[axis].Sub(sym.Const(1))
	if last { // the first of the axis turned around
		v = b.do(Slice, alongAxis(v.Shape, axis, from, v.Shape[axis], -1), v)
		if b.err != nil {
			return b.err
		}
	}
	out, err := topAlong(c, v, axis, TopKAttr{K: ir.MakeDims(sym.Consts(1)), Least: least})
	if err != nil {
		return err
	}
	if last {
		if out = []*ir.Value{out[0], b.sub(b.dim(from), out[1])}; b.err != nil {
			return b.err
		}
	}
	if c.Int("keepdims", 1) != 0 {
		return c.Return1(out[1], nil)
	}
	return c.Return1(reshape(c, out[1], append(append([]sym.Dim{}, v.Shape[:axis]...), v.Shape[axis+1:]...)))
}
