package op

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "MatMulInteger", 10, readMatMulInteger)
	ir.FromONNX("", "ConvInteger", 10, readConvInteger)
	ir.FromONNX("", "QLinearMatMul", 10, readQLinearMatMul)
	ir.FromONNX("", "QLinearConv", 10, readQLinearConv)
	ir.FromONNX("com.microsoft", "QGemm", 1, readQGemm)
	ir.FromONNX("com.microsoft", "MatMulIntegerToFloat", 1, readMatMulIntegerToFloat)
	ir.FromONNX("com.microsoft", "DynamicQuantizeMatMul", 1, readDynamicQuantizeMatMul)
}

// exact is the greatest sum of whole numbers that f32 holds exactly.
const exact = 1 << 24

// greatest bounds |x - zero|.
func greatest(x, zero *ir.Value) float64 {
	if zero == nil || isZero(zero) {
		if m, ok := largest(x.Const, 0); ok {
			return m
		}
		return max(-bounds[x.Elem][0], bounds[x.Elem][1])
	}
	if zero.Const != nil && zero.Const.Len() == 1 {
		z := float64(zero.Const.At(0).I)
		if m, ok := largest(x.Const, z); ok {
			return m
		}
		return max(math.Abs(bounds[x.Elem][0]-z), math.Abs(bounds[x.Elem][1]-z))
	}
	return bounds[x.Elem][1] - bounds[x.Elem][0]
}

func largest(t *ir.Tensor, zero float64) (float64, bool) {
	if t == nil {
		return 0, false
	}
	m := 1.0
	for i := range t.Len() {
		m = max(m, math.Abs(float64(t.At(i).I)-zero))
	}
	return m, true
}

// chunk is how many products of x and y sum exactly in f32, 0 if not even one is sure to be.
func chunk(x, zx, y, zy *ir.Value) int64 {
	_, ok1 := bounds[x.Elem]
	_, ok2 := bounds[y.Elem]
	if !ok1 || !ok2 {
		return 0
	}
	return int64(exact / (greatest(x, zx) * greatest(y, zy)))
}

// integers is the product of two integer matrices as i32, or as f32 where that is exact: a ByteLinear where the second one is a constant of
// bytes, a product in f32 where f32 holds the sums, a ByteMatMul of other bytes, and of other integers a product of i32.
func (b *builder) integers(x, zx, y, zy *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	if len(x.Shape) < 2 || len(y.Shape) < 2 {
		b.err = ir.NotSupported("a product of vectors of %v", x.Elem)
		return nil
	}
	if y := b.bytes(x, zx, y, zy); y != nil {
		return y
	}
	if k, known := x.Shape[len(x.Shape)-1].Const(); known && k <= chunk(x, zx, y, zy) {
		return b.do(MatMul, nil, b.centred(x, zx), b.centred(y, zy))
	}
	if y := b.byteMatMul(x, zx, y, zy); y != nil || b.err != nil {
		return y
	}
	less := func(v, zero *ir.Value) *ir.Value {
		if v = b.cast(v, loop.I32); zero == nil {
			return v
		}
		return b.sub(v, b.cast(zero, loop.I32))
	}
	p, q := less(x, zx), less(y, zy)
	if b.err != nil {
		return nil
	}
	z, err := product(b.c, p, q)
	b.err = err
	return z
}

func readMatMulInteger(c *ir.Import) error {
	b := &builder{c: c}
	x, y := b.need(0), b.need(1)
	zx, zy := b.rowZero(c.Value(2), x), b.single(c.Value(3))
	return b.done(b.cast(b.integers(x, zx, y, zy), loop.I32))
}

// rowZero gives zero points of one a row of the left operand the shape that broadcasts to it.
func (b *builder) rowZero(z, x *ir.Value) *ir.Value {
	if z == nil || b.err != nil || len(z.Shape) != 1 || len(x.Shape) < 2 {
		return b.single(z)
	}
	if z.Shape[0].Is(1) {
		return b.reshape(z, nil)
	}
	return b.reshape(z, dims(z.Shape[0], 1))
}

// single makes a scalar of a tensor of one element, and leaves others, which broadcast along the last axis, as they are.
func (b *builder) single(z *ir.Value) *ir.Value {
	if z == nil || b.err != nil || !sym.Product(z.Shape).Is(1) {
		return z
	}
	return b.reshape(z, nil)
}

// readQLinearMatMul rounds the product times the scales.
func readQLinearMatMul(c *ir.Import) error {
	if _, err := c.NeedAll(8); err != nil {
		return err
	}
	b, in := &builder{c: c}, c.Inputs
	xs, ys := b.single(b.whole(in[1])), b.single(b.whole(in[4]))
	if b.err == nil && len(xs.Shape) == 1 {
		xs = b.reshape(xs, dims(xs.Shape[0], 1))
	}
	acc := b.whole(b.integers(in[0], b.rowZero(in[2], in[0]), in[3], b.single(in[5])))
	by := b.div(b.mul(xs, ys), b.single(b.whole(in[6])))
	return b.done(b.rounded(b.mul(acc, by), b.single(in[7]), in[7].Elem))
}

// convolved is the convolution of integers as i32 or, where that is exact, f32; groups must be small enough to be exact.
func (b *builder) convolved(x, zx, w, zw *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	if len(x.Shape) < 3 || len(w.Shape) != len(x.Shape) {
		return b.fail(fmt.Errorf("an input of rank %d and weights of rank %d", len(x.Shape), len(w.Shape)))
	}
	if y := b.convolvedBytes(x, zx, w, zw); y != nil || b.err != nil {
		return y
	}
	if zw != nil && len(zw.Shape) == 1 {
		zw = b.reshape(zw, column(zw.Shape[0], len(w.Shape)-1))
	}
	window, n := sym.Product(w.Shape[2:]), chunk(x, zx, w, zw)
	k, known := sym.Product(w.Shape[1:]).Const()
	if !known || n == 0 {
		return b.fail(ir.NotSupported("a convolution of %v and %v over %v terms", x.Elem, w.Elem, sym.Product(w.Shape[1:])))
	}
	p, q := b.centred(x, zx), b.centred(w, zw)
	if k <= n {
		return b.conv(p, q)
	}
	size, _ := window.Const()
	if b.err != nil {
		return nil
	}
	if b.c.Int("group", 1) != 1 || size > n {
		if greatest(w, zw) > 255 || float64(k)*greatest(x, zx)*16 > exact {
			return b.fail(ir.NotSupported("a convolution of %v and %v with %d terms in groups", x.Elem, w.Elem, k))
		}
		return b.convolvedByHalves(p, q)
	}
	var sum *ir.Value
	channels := k / size
	for at, step := int64(0), n/size; at < channels; at += step {
		m := sym.Const(min(step, channels-at))
		part := b.cast(b.conv(b.slice(p, 1, sym.Const(at), m), b.slice(q, 1, sym.Const(at), m)), loop.I32)
		if sum == nil {
			sum = part
			continue
		}
		sum = b.add(sum, part)
	}
	return sum
}

// convolvedByHalves is the convolution of whole numbers p and q, those of q of nine bits at most, as i32: q is sixteen times one number and a
// number below sixteen more, and f32 holds the sums of either's products.
func (b *builder) convolvedByHalves(p, q *ir.Value) *ir.Value {
	sixteen := b.scalar(16)
	high := b.do(Floor, nil, b.div(q, sixteen))
	low := b.sub(q, b.mul(high, sixteen))
	return b.add(b.mul(b.cast(b.conv(p, high), loop.I32), b.cast(sixteen, loop.I32)), b.cast(b.conv(p, low), loop.I32))
}

// convolvedBytes is the convolution of bytes with constant ones, all channels one group, as i32; nil where it is not of that kind. Around the
// image is what the zero point stands for, so where there is any it must be known.
func (b *builder) convolvedBytes(x, zx, w, zw *ir.Value) *ir.Value {
	if x.Elem != loop.I8 && x.Elem != loop.U8 || zx != nil && len(zx.Shape) != 0 || b.err != nil || b.c.Int("group", 1) != 1 || !constantBytes(ir.Computed(w), zw) {
		return nil
	}
	pads, _ := b.c.Ints("pads")
	padded := slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }) || strings.HasPrefix(b.c.Str("auto_pad", ""), "SAME")
	whole, zero, lo := b.bytesOf(x, zx)
	if b.err != nil || zero != nil && padded {
		return nil
	}
	y, err := convolveBy(b.c, whole, w, nil, func(b *builder, rows, w *ir.Value) *ir.Value {
		if b.err != nil {
			return nil
		}
		w, again := centredBytes(w, zw)
		return b.do(ByteLinear, ByteLinearAttr{Lo: lo, I32: true}, rows, w, zero, nil, again)
	})
	b.err = err
	return y
}

// constantBytes reports whether the weights of a convolution are constant bytes with constant zero points, one for all or one an output channel.
func constantBytes(w *ir.Tensor, zw *ir.Value) bool {
	if w == nil || w.Elem != loop.I8 && w.Elem != loop.U8 || w.Len() == 0 {
		return false
	}
	return zw == nil || zw.Const != nil && len(zw.Shape) <= 1 && (zw.Const.Len() == 1 || int64(zw.Const.Len()) == w.Shape[0])
}

func (b *builder) fail(err error) *ir.Value {
	if b.err == nil {
		b.err = err
	}
	return nil
}

func (b *builder) conv(x, w *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	y, err := convolve(b.c, x, w, nil)
	b.err = err
	return y
}

func readConvInteger(c *ir.Import) error {
	b := &builder{c: c}
	x, w := b.need(0), b.need(1)
	return b.done(b.cast(b.convolved(x, b.single(c.Value(2)), w, b.single(c.Value(3))), loop.I32))
}

func readQLinearConv(c *ir.Import) error {
	b := &builder{c: c}
	in := b.needFirst(8)
	if b.err != nil {
		return b.err
	}
	acc := b.convolved(in[0], b.single(in[2]), in[3], b.single(in[5]))
	if b.err != nil {
		return b.err
	}
	channel := func(v *ir.Value) *ir.Value {
		if v = b.single(v); b.err != nil || len(v.Shape) != 1 {
			return v
		}
		return b.reshape(v, column(v.Shape[0], len(acc.Shape)-2))
	}
	if bias := c.Value(8); bias != nil {
		acc = b.add(b.cast(acc, loop.I32), channel(bias))
	}
	by := b.div(b.mul(b.single(b.whole(in[1])), channel(b.whole(in[4]))), b.single(b.whole(in[6])))
	return b.done(b.rounded(b.mul(b.whole(acc), by), b.single(in[7]), in[7].Elem))
}

// readQGemm is com.microsoft's: A, its scale and zero, B, its scale and zero, C of i32, and the result's scale and zero, without which it
// is f32.
func readQGemm(c *ir.Import) error {
	b := &builder{c: c}
	in := b.needFirst(6)
	if b.err != nil {
		return b.err
	}
	x, y := in[0], in[3]
	if c.Int("transA", 0) != 0 {
		x = b.transpose(x, 1, 0)
	}
	if c.Int("transB", 0) != 0 {
		y = b.transpose(y, 1, 0)
	}
	acc := b.integers(x, b.single(in[2]), y, b.single(in[5]))
	if bias := c.Value(6); bias != nil {
		acc = b.add(b.cast(acc, loop.I32), bias)
	}
	by := b.mul(b.mul(b.single(b.whole(in[1])), b.single(b.whole(in[4]))), b.scalar(float64(c.Float("alpha", 1))))
	out, zero := c.Value(7), c.Value(8)
	if out == nil {
		return b.done(b.mul(b.whole(acc), by))
	}
	to := x.Elem
	if zero != nil {
		to = zero.Elem
	}
	return b.done(b.rounded(b.mul(b.whole(acc), b.div(by, b.single(b.whole(out)))), b.single(zero), to))
}

// readMatMulIntegerToFloat: A, B, their scales, their zeros, a bias.
func readMatMulIntegerToFloat(c *ir.Import) error {
	b := &builder{c: c}
	in := b.needFirst(4)
	if b.err != nil {
		return b.err
	}
	acc := b.whole(b.integers(in[0], b.single(c.Value(4)), in[1], b.single(c.Value(5))))
	y := b.mul(acc, b.mul(b.single(b.whole(in[2])), b.single(b.whole(in[3]))))
	if bias := c.Value(6); bias != nil {
		y = b.add(y, bias)
	}
	return b.done(y)
}

// readDynamicQuantizeMatMul quantises A first: A, B, B's scale and zero, a bias.
func readDynamicQuantizeMatMul(c *ir.Import) error {
	x, err1 := c.Need(0)
	y, err2 := c.Need(1)
	ys, err3 := c.Need(2)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	b := &builder{c: c}
	q, scale, zero := b.dynamic(x)
	acc := b.whole(b.integers(q, zero, y, b.single(c.Value(3))))
	out := b.mul(acc, b.mul(scale, b.single(b.whole(ys))))
	if bias := c.Value(4); bias != nil {
		out = b.add(out, bias)
	}
	return b.done(out)
}
