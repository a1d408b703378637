package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// ReduceAttr names what combines the elements: sum, mean, max, min, prod or sumsq.
type ReduceAttr struct{ Kind string }

// Reduce combines the elements of the last axis, which disappears.
var Reduce = ir.NewOp("reduce", "combines the elements of the last axis", ReduceAttr{})

// ReduceOther is Reduce for element types other than f32, in increasing order.
var ReduceOther = ir.NewOp("reduceother", "combines the elements of the last axis, not f32", ReduceAttr{})

var plainKinds = map[string]int64{"sum": plain.Sum, "mean": plain.Mean, "max": plain.Greatest, "min": plain.Least, "prod": plain.Product,
	"sumsq": plain.SumSquares}

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
	ReduceOther.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if len(v.Shape) == 0 || v.Elem == loop.F16 || v.Elem == loop.BF16 {
			return ir.NotSupported("a reduction of %v of rank %d", v.Elem, len(v.Shape))
		}
		if _, ok := plainKinds[n.Attr.(ReduceAttr).Kind]; !ok {
			return fmt.Errorf("unknown kind %q", n.Attr.(ReduceAttr).Kind)
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, v.Shape[:len(v.Shape)-1]
		n.Out[0].Dims = reducedDims(v, n.Attr.(ReduceAttr).Kind)
		return nil
	}
	ReduceOther.Plain = func(n *ir.Node) ir.PlainCall {
		return ir.PlainCall{Func: "Reduce", Ints: []int64{plainKinds[n.Attr.(ReduceAttr).Kind]}}
	}
	ReduceOther.Run = plain.Reduce
	for name, kind := range map[string]string{"ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
		"ReduceProd": "prod", "ReduceSumSquare": "sumsq", "ReduceL2": "l2", "ReduceL1": "l1"} {
		ir.FromONNX("", name, 1, func(c *ir.Import) error { return readReduce(c, kind) })
	}
	ir.FromONNX("", "GlobalAveragePool", 1, func(c *ir.Import) error { return readGlobalPool(c, "mean") })
	ir.FromONNX("", "GlobalMaxPool", 1, func(c *ir.Import) error { return readGlobalPool(c, "max") })
}

// reducedDims are the known contents of v, an integer value, combined along the last axis, or nil.
func reducedDims(v *ir.Value, kind string) []sym.Dim {
	combine := map[string]func(a, b sym.Dim) sym.Dim{"sum": sym.Dim.Add, "prod": sym.Dim.Mul, "max": sym.Dim.Max, "min": sym.Dim.Min}[kind]
	known := v.Contents()
	width, ok := v.Shape[len(v.Shape)-1].Const()
	if combine == nil || len(known) == 0 || !ok || v.Elem.Float() {
		return nil
	}
	var out []sym.Dim
	for at := 0; at < len(known); at += int(width) {
		d := known[at]
		for _, e := range known[at+1 : at+int(width)] {
			d = combine(d, e)
		}
		out = append(out, d)
	}
	return out
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
	axes, none, err := reducedAxes(c, v)
	if err != nil {
		return err
	}
	if none && (kind == "sum" || kind == "mean" || kind == "max" || kind == "min" || kind == "prod") {
		return c.Return1(v, nil)
	}
	return c.Return1(reduceAxes(c, v, axes, kind, c.Int("keepdims", 1) != 0))
}

// reducedAxes are the axes to reduce, all by default; with noop_with_empty_axes there may be none.
func reducedAxes(c *ir.Import, v *ir.Value) (axes []int64, none bool, err error) {
	axes, _, err = c.ConstInts(1, "axes")
	if err != nil || len(axes) > 0 {
		return axes, false, err
	}
	if c.Int("noop_with_empty_axes", 0) != 0 {
		return nil, true, nil
	}
	for a := range v.Shape {
		axes = append(axes, int64(a))
	}
	return axes, false, nil
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
	b := &builder{c: c}
	one := func(v *ir.Value, kind string) *ir.Value {
		if x.Elem == loop.F32 {
			return b.do(Reduce, ReduceAttr{kind}, v)
		}
		return b.do(ReduceOther, ReduceAttr{kind}, v)
	}
	switch kind {
	case "l1":
		x = one(b.do(Abs, nil, x), "sum")
	case "l2":
		x = b.do(Sqrt, nil, one(x, "sumsq"))
	default:
		x = one(x, kind)
	}
	return x, b.err
}
