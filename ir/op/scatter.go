package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/runtime/plain"
)

// ScatterAttr holds the axis that the indices address (ScatterElements only) and the reduction, a number of package plain.
type ScatterAttr struct{ Axis, Reduction int64 }

// ScatterElements combines single elements into a copy of the data along an axis; ScatterND combines slices whose places the last axis
// of the indices names; both work through the updates in order.
var (
	ScatterElements = ir.NewOp("scatterelements", "combines elements into a copy along an axis", ScatterAttr{})
	ScatterND       = ir.NewOp("scatternd", "combines slices into a copy", ScatterAttr{})
)

var scatterReductions = map[string]int64{"": plain.Replace, "none": plain.Replace, "add": plain.Add, "mul": plain.Mul, "max": plain.Max, "min": plain.Min}

func init() {
	ScatterElements.Infer = func(n *ir.Node) error {
		data, idx, upd := n.In[0], n.In[1], n.In[2]
		if len(idx.Shape) != len(data.Shape) || len(upd.Shape) != len(idx.Shape) {
			return fmt.Errorf("indices of rank %d and updates of rank %d for rank %d", len(idx.Shape), len(upd.Shape), len(data.Shape))
		}
		if _, err := axisOf(n.Attr.(ScatterAttr).Axis, len(data.Shape)); err != nil {
			return err
		}
		for a, d := range idx.Shape {
			if err := ir.Equal(d, upd.Shape[a]); err != nil {
				return err
			}
		}
		return inferScatter(n)
	}
	ScatterND.Infer = func(n *ir.Node) error {
		data, idx, upd := n.In[0], n.In[1], n.In[2]
		last := len(idx.Shape) - 1
		if last < 0 {
			return fmt.Errorf("indices of rank 0")
		}
		depth, ok := idx.Shape[last].Const()
		if !ok || depth < 1 || int(depth) > len(data.Shape) || len(upd.Shape) != last+len(data.Shape)-int(depth) {
			return fmt.Errorf("indices %v and updates %v for data %v", idx.Shape, upd.Shape, data.Shape)
		}
		for a, d := range append(idx.Shape[:last:last], data.Shape[depth:]...) {
			if err := ir.Equal(upd.Shape[a], d); err != nil {
				return err
			}
		}
		return inferScatter(n)
	}
	ScatterElements.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(ScatterAttr)
		return ir.PlainCall{Func: "ScatterElements", Ints: []int64{a.Axis, a.Reduction}}
	}
	ScatterND.Plain = func(n *ir.Node) ir.PlainCall {
		return ir.PlainCall{Func: "ScatterND", Ints: []int64{n.Attr.(ScatterAttr).Reduction}}
	}
	ScatterElements.Run, ScatterND.Run = plain.ScatterElements, plain.ScatterND
	ir.FromONNX("", "Scatter", 9, func(c *ir.Import) error { return readScatter(c, ScatterElements) })
	ir.FromONNX("", "ScatterElements", 11, func(c *ir.Import) error { return readScatter(c, ScatterElements) })
	ir.FromONNX("", "ScatterND", 11, func(c *ir.Import) error { return readScatter(c, ScatterND) })
}

func inferScatter(n *ir.Node) error {
	data, idx, upd, out := n.In[0], n.In[1], n.In[2], n.Out[0]
	if idx.Elem != loop.I64 && idx.Elem != loop.I32 || upd.Elem != data.Elem {
		return fmt.Errorf("indices are %v, updates %v for data of %v", idx.Elem, upd.Elem, data.Elem)
	}
	if n.Attr.(ScatterAttr).Reduction != plain.Replace && (data.Elem == loop.F16 || data.Elem == loop.BF16) {
		return arithmetic(data)
	}
	out.Elem, out.Shape = data.Elem, data.Shape
	return nil
}

func readScatter(c *ir.Import, o *ir.Op) error {
	in, err := c.NeedAll(3)
	if err != nil {
		return err
	}
	how, ok := scatterReductions[c.Str("reduction", "")]
	if !ok {
		return fmt.Errorf("reduction %.40q", c.Str("reduction", ""))
	}
	a := ScatterAttr{Reduction: how}
	if o == ScatterElements {
		axis, err := axisOf(c.Int("axis", 0), len(in[0].Shape))
		if err != nil {
			return err
		}
		a.Axis = int64(axis)
	}
	return c.Return(c.Emit(o, a, in...))
}
