package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Quantised operators are read as arithmetic on f32 that holds whole numbers: differences from a zero point, sums of products below
// 2^24 and what they are rounded to are exact there, so every target's kernels give the integers that the operators define.

func init() {
	for _, domain := range []string{"", "com.microsoft"} {
		ir.FromONNX(domain, "QuantizeLinear", 1, readQuantize)
		ir.FromONNX(domain, "DequantizeLinear", 1, readDequantize)
	}
	ir.FromONNX("", "DynamicQuantizeLinear", 11, readDynamicQuantize)
}

// bounds of the integer types that quantisation uses.
var bounds = map[loop.Elem][2]float64{loop.I8: {-128, 127}, loop.U8: {0, 255}, loop.I16: {-32768, 32767}, loop.U16: {0, 65535},
	loop.I4: {-8, 7}, loop.U4: {0, 15}, loop.I2: {-2, 1}, loop.U2: {0, 3}}

// Bounds are the least and the greatest number of an integer type of at most sixteen bits; false for other types.
func Bounds(e loop.Elem) ([2]float64, bool) {
	b, ok := bounds[e]
	return b, ok
}

// scaleFor gives a scale or zero point of one entry, of one an entry of the axis, or of one a block of the axis, the shape that broadcasts
// to x.
func (b *builder) scaleFor(s, x *ir.Value, axis, block int64) *ir.Value {
	if b.err != nil || s == nil {
		return nil
	}
	if count := sym.Product(s.Shape); count.Is(1) && len(s.Shape) <= 1 {
		return b.reshape(s, nil)
	}
	a, err := axisOf(axis, len(x.Shape))
	if b.err = err; err != nil {
		return nil
	}
	if len(s.Shape) == 1 && block == 0 {
		shape := make([]sym.Dim, len(x.Shape))
		for i := range shape {
			shape[i] = sym.Const(1)
		}
		shape[a] = s.Shape[0]
		return b.reshape(s, shape)
	}
	if len(s.Shape) != len(x.Shape) || block < 1 {
		b.err = fmt.Errorf("scales %v for %v in blocks of %d", s.Shape, x.Shape, block)
		return nil
	}
	wide := b.expand(b.reshape(s, dims(s.Shape[:a+1], 1, s.Shape[a+1:])), dims(s.Shape[:a+1], block, s.Shape[a+1:]))
	whole := s.Shape[a].Mul(sym.Const(block))
	return b.slice(b.reshape(wide, dims(s.Shape[:a], whole, s.Shape[a+1:])), a, sym.Const(0), x.Shape[a])
}

// whole is an integer tensor as f32.
func (b *builder) whole(v *ir.Value) *ir.Value { return b.cast(v, loop.F32) }

// dequantised is (x - zero) * scale; the operands broadcast.
func (b *builder) dequantised(x, scale, zero *ir.Value) *ir.Value {
	return b.mul(b.centred(x, zero), scale)
}

// centred is x - zero as f32.
func (b *builder) centred(x, zero *ir.Value) *ir.Value {
	x = b.whole(x)
	if zero == nil || isZero(zero) {
		return x
	}
	return b.sub(x, b.whole(zero))
}

func isZero(v *ir.Value) bool {
	if v.Const == nil {
		return false
	}
	for i := range v.Const.Len() {
		if s := v.Const.At(i); s.I != 0 || s.F != 0 {
			return false
		}
	}
	return true
}

// quantised is round(x/scale) + zero within the bounds of the type.
func (b *builder) quantised(x, scale, zero *ir.Value, to loop.Elem) *ir.Value {
	if b.err != nil {
		return nil
	}
	if w := b.quantisedConstant(x, scale, zero, to); w != nil {
		b.c.Graph.Rounding = "int8"
		return w
	}
	return b.rounded(b.div(x, scale), zero, to)
}

// rounded is round(x) + zero within the bounds of the type.
func (b *builder) rounded(x, zero *ir.Value, to loop.Elem) *ir.Value {
	lim, ok := bounds[to]
	if b.err == nil && !ok {
		b.err = ir.NotSupported("quantisation to %v", to)
	}
	b.c.Graph.Rounding = "int8"
	x = b.do(Round, nil, x)
	if zero != nil && b.err == nil && !isZero(zero) {
		x = b.add(x, b.whole(zero))
	}
	x = b.do(Min, nil, b.do(Max, nil, x, b.scalar(lim[0])), b.scalar(lim[1]))
	return b.cast(x, to)
}

// quantisedConstant computes quantised's steps for constants, which are often all of a model's weights, in one loop; nil if the operands are
// not constants of f32 that broadcast to x, if there is a NaN, or if the type is not a whole number's.
func (b *builder) quantisedConstant(x, scale, zero *ir.Value, to loop.Elem) *ir.Value {
	if zero == nil {
		zero = b.scalar(0)
	}
	zero = b.whole(zero)
	lim, ok := bounds[to]
	if b.err != nil || !ok {
		return nil
	}
	for _, v := range []*ir.Value{x, scale, zero} {
		if v.Const == nil || v.Elem != loop.F32 {
			return nil
		}
	}
	if shape, err := ir.BroadcastShapes(x.Shape, scale.Shape, zero.Shape); err != nil || !ir.SameShape(shape, x.Shape) {
		return nil
	}
	scales, zeros := ir.Slice[float32](scale.Const), ir.Slice[float32](zero.Const)
	scaleAt, zeroAt := ir.Broadcaster(x.Const.Shape, scale.Const.Shape), ir.Broadcaster(x.Const.Shape, zero.Const.Shape)
	out := ir.NewTensor(to, x.Const.Shape...)
	for i, v := range ir.Slice[float32](x.Const) {
		q := float32(math.RoundToEven(float64(v/scales[scaleAt(i)]))) + zeros[zeroAt(i)]
		if q != q {
			return nil
		}
		out.Set(i, loop.Scalar{I: int64(min(max(q, float32(lim[0])), float32(lim[1])))})
	}
	return ir.ConstValue("", out)
}

func (b *builder) scalar(x float64) *ir.Value { return ir.Scalar(loop.F32, x) }

func readQuantize(c *ir.Import) error {
	b := &builder{c: c}
	x := b.whole(b.need(0))
	to := loop.U8
	if n := c.Int("output_dtype", 0); n != 0 {
		e, err := ir.ElemFromONNX(n)
		if err != nil {
			return err
		}
		to = e
	}
	zero := c.Value(2)
	if zero != nil {
		to = zero.Elem
	}
	axis, block := c.Int("axis", 1), c.Int("block_size", 0)
	scale := b.whole(b.scaleFor(b.need(1), x, axis, block))
	if b.err != nil {
		return b.err
	}
	if w := settled(x); w != nil {
		x = w
	}
	if to.Float() {
		return b.done(b.narrowed(b.div(x, scale), to, c.Int("saturate", 1) != 0))
	}
	return b.done(b.quantised(x, scale, b.scaleFor(zero, x, axis, block), to))
}

func readDequantize(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	axis, block := c.Int("axis", 1), c.Int("block_size", 0)
	scale, zero := b.whole(b.scaleFor(b.need(1), x, axis, block)), b.scaleFor(c.Value(2), x, axis, block)
	if b.err == nil && x.Const != nil && len(x.Shape) > 1 {
		return c.Return1(later(c, Mul, b.centred(x, zero), scale))
	}
	return b.done(b.dequantised(x, scale, zero))
}

// later emits a node whose result is not computed at once even if it is a constant: pass integers looks at what it is made of.
func later(c *ir.Import, o *ir.Op, in ...*ir.Value) (*ir.Value, error) {
	n, err := ir.NewNode(o, nil, []string{c.From}, in...)
	if err != nil {
		return nil, err
	}
	c.Graph.Nodes = append(c.Graph.Nodes, n)
	return n.Out[0], nil
}

// readDynamicQuantize finds scale and zero point so that the range of x and 0 becomes 0 … 255.
func readDynamicQuantize(c *ir.Import) error {
	b := &builder{c: c}
	y, scale, zero := b.dynamic(b.need(0))
	return b.done(y, scale, zero)
}

func (b *builder) dynamic(x *ir.Value) (y, scale, zero *ir.Value) {
	if b.err != nil {
		return nil, nil, nil
	}
	var axes []int64
	for a := range x.Shape {
		axes = append(axes, int64(a))
	}
	top := b.do(Max, nil, b.reduce(x, "max", false, axes...), b.scalar(0))
	low := b.do(Min, nil, b.reduce(x, "min", false, axes...), b.scalar(0))
	scale = b.div(b.sub(top, low), b.scalar(255))
	zero = b.rounded(b.div(b.do(Neg, nil, low), scale), nil, loop.U8)
	return b.quantised(x, scale, zero, loop.U8), scale, zero
}
