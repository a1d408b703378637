package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ReduceAttr names what combines the elements: sum, mean, max, min, prod or sumsq.
type ReduceAttr struct{ Kind string }

// Reduce combines the elements of the last axis, which disappears.
var Reduce = ir.NewOp("reduce", "combines the elements of the last axis", ReduceAttr{})

var reductions = map[string]loop.Code{"sum": loop.SumLanes, "mean": loop.SumLanes, "max": loop.MaxLanes, "min": loop.MinLanes,
	"prod": loop.ProdLanes, "sumsq": loop.DotLanes}

func init() {
	Reduce.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if v.Elem != loop.F32 {
			return ir.NotSupported("a reduction of %v", v.Elem)
		}
		if len(v.Shape) == 0 {
			return fmt.Errorf("the input is a scalar")
		}
		if _, ok := reductions[n.Attr.(ReduceAttr).Kind]; !ok {
			return fmt.Errorf("unknown kind %q", n.Attr.(ReduceAttr).Kind)
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, v.Shape[:len(v.Shape)-1]
		return nil
	}
	Reduce.Row = reduceRow
	for name, kind := range map[string]string{"ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
		"ReduceProd": "prod", "ReduceSumSquare": "sumsq", "ReduceL2": "l2", "ReduceL1": "l1"} {
		ir.FromONNX("", name, 1, func(c *ir.Import) error { return readReduce(c, kind) })
	}
	ir.FromONNX("", "GlobalAveragePool", 1, func(c *ir.Import) error { return readGlobalPool(c, "mean") })
	ir.FromONNX("", "GlobalMaxPool", 1, func(c *ir.Import) error { return readGlobalPool(c, "max") })
}

func reduceRow(n *ir.Node) *loop.Kernel {
	kind := n.Attr.(ReduceAttr).Kind
	b := loop.NewBuilder("reduce_" + kind)
	x := b.Buffer(loop.Buf{Elem: loop.F32})
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true, Uniform: true})
	var r loop.Val
	b.Loop(func() {
		v := b.Load(x)
		args := []loop.Val{v}
		if kind == "sumsq" {
			args = append(args, v)
		}
		r = b.Reduce(reductions[kind], args...)
	})
	if kind == "mean" {
		r = b.Div(r, b.Len())
	}
	b.Store(y, r)
	return b.Kernel()
}

// readReduce moves the reduced axes to the end and flattens them.
func readReduce(c *ir.Import, kind string) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, ok, err := c.ConstInts(1, "axes")
	if err != nil {
		return err
	}
	if len(axes) == 0 {
		if ok && c.Int("noop_with_empty_axes", 0) != 0 {
			return c.Return1(v, nil)
		}
		for a := range v.Shape {
			axes = append(axes, int64(a))
		}
	}
	return c.Return1(reduceAxes(c, v, axes, kind, c.Int("keepdims", 1) != 0))
}

func readGlobalPool(c *ir.Import, kind string) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	var axes []int64
	for a := 2; a < len(v.Shape); a++ {
		axes = append(axes, int64(a))
	}
	return c.Return1(reduceAxes(c, v, axes, kind, true))
}

func reduceAxes(c *ir.Import, v *ir.Value, axes []int64, kind string, keep bool) (*ir.Value, error) {
	if len(v.Shape) == 0 {
		return v, nil
	}
	drop := make([]bool, len(v.Shape))
	for _, a := range axes {
		k, err := axisOf(a, len(v.Shape))
		if err != nil {
			return nil, err
		}
		drop[k] = true
	}
	var outer, inner []int64
	var final, kept []sym.Dim
	for i, d := range v.Shape {
		switch {
		case !drop[i]:
			outer, final, kept = append(outer, int64(i)), append(final, d), append(kept, d)
		default:
			inner = append(inner, int64(i))
			if keep {
				final = append(final, sym.Const(1))
			}
		}
	}
	width := sym.Const(1)
	for _, i := range inner {
		width = width.Mul(v.Shape[i])
	}
	x, err := transpose(c, v, append(outer, inner...)...)
	if err == nil {
		x, err = reshape(c, x, append(append([]sym.Dim{}, kept...), width))
	}
	if err == nil {
		x, err = reduceLast(c, x, kind)
	}
	if err != nil {
		return nil, err
	}
	return reshape(c, x, final)
}

func reduceLast(c *ir.Import, x *ir.Value, kind string) (*ir.Value, error) {
	if x.Elem == loop.I32 || x.Elem == loop.I64 {
		return reduceIntegers(c, x, kind)
	}
	switch kind {
	case "l1":
		a, err := c.Emit1(Abs, nil, x)
		if err != nil {
			return nil, err
		}
		return c.Emit1(Reduce, ReduceAttr{"sum"}, a)
	case "l2":
		s, err := c.Emit1(Reduce, ReduceAttr{"sumsq"}, x)
		if err != nil {
			return nil, err
		}
		return c.Emit1(Sqrt, nil, s)
	}
	return c.Emit1(Reduce, ReduceAttr{kind}, x)
}

// reduceIntegers is the last running sum, or the first of the greatest or least elements.
func reduceIntegers(c *ir.Import, x *ir.Value, kind string) (*ir.Value, error) {
	last := len(x.Shape) - 1
	if kind == "max" || kind == "min" {
		top, err := c.Emit(TopK, TopKAttr{K: 1, Least: kind == "min"}, x)
		if err != nil {
			return nil, err
		}
		return reshape(c, top[0], x.Shape[:last])
	}
	if kind != "sum" {
		return nil, ir.NotSupported("a reduction of %v to a %s", x.Elem, kind)
	}
	sums, err := c.Emit1(CumSum, CumSumAttr{}, x)
	if err != nil {
		return nil, err
	}
	y, err := c.Emit1(Slice, alongAxis(x.Shape, last, x.Shape[last].Sub(sym.Const(1)), sym.Const(1), 1), sums)
	if err != nil {
		return nil, err
	}
	return reshape(c, y, x.Shape[:last])
}
