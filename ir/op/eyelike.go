package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "EyeLike", 9, readEyeLike)
	ir.FromONNX("", "IsInf", 10, readIsInf)
	ir.FromONNX("", "Mean", 1, readMean)
	ir.FromONNX("", "Hardmax", 1, readHardmax)
	ir.FromONNX("", "ReduceLogSum", 1, readReduceLogSum)
	ir.FromONNX("", "ReduceLogSumExp", 1, readReduceLogSumExp)
}

// readEyeLike has ones on diagonal k of a matrix of the input's shape.
func readEyeLike(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) != 2 {
		return fmt.Errorf("rank %d", len(x.Shape))
	}
	elem, err := elemAttr(c, x.Elem)
	if err != nil {
		return err
	}
	rows := b.iota(c.Int("k", 0), x.Shape[0])
	cols := b.iota(0, x.Shape[1])
	return b.done(b.cast(b.do(Equal, nil, b.reshape(rows, dims(x.Shape[0], 1)), cols), elem))
}

// elemAttr is the attribute dtype, or def.
func elemAttr(c *ir.Import, def loop.Elem) (loop.Elem, error) {
	if n := c.Int("dtype", 0); n != 0 {
		return ir.ElemFromONNX(n)
	}
	return def, nil
}

// iota is start, start+1, … of n elements.
func (b *builder) iota(start int64, n sym.Dim) *ir.Value {
	one := func(d sym.Dim) ir.DimList { return ir.MakeDims([]sym.Dim{d}) }
	return b.do(Iota, IotaAttr{one(sym.Const(start)), one(sym.Const(1)), one(n), loop.I64})
}

// readIsInf compares with the infinities that are asked for.
func readIsInf(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	up, down := b.do(Equal, nil, x, b.like(x, math.Inf(1))), b.do(Equal, nil, x, b.like(x, math.Inf(-1)))
	switch {
	case c.Int("detect_negative", 1) == 0 && c.Int("detect_positive", 1) == 0:
		return b.done(b.do(And, nil, up, down))
	case c.Int("detect_negative", 1) == 0:
		return b.done(up)
	case c.Int("detect_positive", 1) == 0:
		return b.done(down)
	}
	return b.done(b.do(Or, nil, up, down))
}

func readMean(c *ir.Import) error {
	b := &builder{c: c}
	sum := b.need(0)
	for i := 1; i < len(c.Inputs); i++ {
		sum = b.add(sum, b.need(i))
	}
	return b.done(b.div(sum, b.like(sum, float64(len(c.Inputs)))))
}

// readHardmax is one at the first greatest element along the axis, else zero. Until opset 12 the axis starts a flattened tail.
func readHardmax(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	def := int64(-1)
	if c.Opset < 13 {
		def = 1
	}
	axis, err := axisOf(c.Int("axis", def), len(x.Shape))
	if err != nil {
		return err
	}
	shape := x.Shape
	if c.Opset < 13 {
		x, axis = b.reshape(x, dims(sym.Product(shape[:axis]), sym.Product(shape[axis:]))), 1
	}
	if b.err != nil {
		return b.err
	}
	top, err := topAlong(c, x, axis, TopKAttr{K: 1})
	if err != nil {
		return err
	}
	place := make([]sym.Dim, len(x.Shape))
	for i := range place {
		place[i] = sym.Const(1)
	}
	place[axis] = x.Shape[axis]
	at := b.do(Equal, nil, b.reshape(b.iota(0, x.Shape[axis]), place), top[1])
	return b.done(b.reshape(b.cast(at, x.Elem), shape))
}

func readReduceLogSum(c *ir.Import) error {
	if err := readReduce(c, "sum"); err != nil {
		return err
	}
	return c.Return1(c.Emit1(Log, nil, c.Out[0]))
}

// readReduceLogSumExp takes the greatest element out first, so that nothing overflows.
func readReduceLogSumExp(c *ir.Import) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, _, err := reducedAxes(c, x)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	top := b.reduce(x, "max", true, axes...)
	sum := b.reduce(b.do(Exp, nil, b.sub(x, top)), "sum", true, axes...)
	y := b.add(b.do(Log, nil, sum), top)
	if b.err != nil || c.Int("keepdims", 1) != 0 {
		return b.done(y)
	}
	return b.done(b.reduce(y, "sum", false, axes...))
}
