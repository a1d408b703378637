package op

import (
	"errors"
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	for name, cs := range map[string][]float64{"HannWindow": {0.5, 0.5}, "HammingWindow": {25.0 / 46, 21.0 / 46}, "BlackmanWindow": {0.42, 0.5, 0.08}} {
		ir.FromONNX("", name, 17, func(c *ir.Import) error { return readWindow(c, cs) })
	}
	ir.FromONNX("", "DFT", 17, readDFT)
	ir.FromONNX("", "STFT", 17, readSTFT)
	ir.FromONNX("", "MelWeightMatrix", 17, readMel)
}

// typed makes a constant of the node's output_datatype, f32 by default.
func typed(c *ir.Import, shape []int64, at func(i int) float64) error {
	elem := loop.F32
	if n := c.Int("output_datatype", 1); n != 1 {
		e, err := ir.ElemFromONNX(n)
		if err != nil {
			return err
		}
		elem = e
	}
	t := ir.NewTensor(elem, shape...)
	for i := range t.Len() {
		x := at(i)
		t.Set(i, loop.Scalar{F: x, I: int64(x)})
	}
	return c.Return1(ir.ConstValue("", t), nil)
}

// maxSignal is the most entries of a window or transform that is made while compiling.
const maxSignal = 1 << 11

// number is input i, which must be one known number.
func number(c *ir.Import, i int) (int64, error) {
	v, err := c.Need(i)
	if err != nil {
		return 0, err
	}
	n, ok := constantOf(v)
	if !ok {
		return 0, ir.UnknownContents(v, "%s depends on data", "a size")
	}
	if n < 1 || n > maxSignal {
		return 0, ir.NotSupported("a signal of %d entries", n)
	}
	return n, nil
}

// readWindow is a sum of cosines (Harris, 1978).
func readWindow(c *ir.Import, cs []float64) error {
	n, err := number(c, 0)
	if err != nil {
		return err
	}
	period := float64(n)
	if c.Int("periodic", 1) == 0 {
		period = float64(n - 1)
	}
	return typed(c, []int64{n}, func(i int) float64 {
		x, sign := cs[0], -1.0
		for k, a := range cs[1:] {
			x, sign = x+float64(sign*a*math.Cos(2*math.Pi*float64(k+1)*float64(i)/period)), -sign
		}
		return x
	})
}

// readDFT is a product with the matrix of cosines and sines; the last axis holds real and imaginary parts.
func readDFT(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	axis := c.Int("axis", 1)
	if c.Opset >= 20 {
		axis = -2
		if v := c.Value(2); v != nil {
			n, ok := constantOf(v)
			if !ok {
				return ir.UnknownContents(v, "an axis that depends on data")
			}
			axis = n
		}
	}
	a, err := axisOf(axis, len(x.Shape))
	if err != nil {
		return err
	}
	last := len(x.Shape) - 1
	if a == last || x.Elem != loop.F32 || !x.Shape[last].Is(1) && !x.Shape[last].Is(2) {
		return ir.NotSupported("DFT of %v%v along axis %d", x.Elem, x.Shape, a)
	}
	size, ok := x.Shape[a].Const()
	length := size
	if v := c.Value(1); v != nil {
		if length, err = number(c, 1); err != nil {
			return err
		}
	}
	if !ok || length > maxSignal || size > maxSignal {
		return ir.NotSupported("DFT of %v entries", x.Shape[a])
	}
	inverse := c.Int("inverse", 0) != 0
	if c.Int("onesided", 0) == 0 {
		return b.done(b.dft(x, a, size, length, length, inverse, 2))
	}
	if inverse && c.Value(1) == nil {
		length = 2 * (size - 1)
	}
	if inverse {
		return b.done(b.dft(x, a, min(size, length/2+1), length, length, true, 1))
	}
	return b.done(b.dft(x, a, size, length, length/2+1, false, 2))
}

// dft transforms the first size entries of axis a, or fewer, as a signal of length entries, into outs ones of re and im, or re alone. From
// half a spectrum into real numbers, the entries that are not given mirror those that are.
func (b *builder) dft(x *ir.Value, a int, size, length, outs int64, inverse bool, results int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	last := len(x.Shape) - 1
	parts, _ := x.Shape[last].Const()
	ins := min(size, length)
	t := ir.NewTensor(loop.F32, ins*parts, outs*results)
	w := ir.Slice[float32](t)
	sign, norm := -1.0, 1.0
	if inverse {
		sign, norm = 1, 1/float64(length)
	}
	for n := range ins {
		times := norm
		if results == 1 && n > 0 && 2*n != length {
			times *= 2
		}
		for k := range outs {
			angle := sign * 2 * math.Pi * float64(n*k%length) / float64(length)
			re, im := float32(math.Cos(angle)*times), float32(math.Sin(angle)*times)
			set := func(part, result int64, x float32) {
				if part < parts && result < results {
					w[((n*parts+part)*outs+k)*results+result] = x
				}
			}
			set(0, 0, re)
			set(0, 1, im)
			set(1, 0, -im)
			set(1, 1, re)
		}
	}
	x = b.slice(x, a, sym.Const(0), sym.Const(ins))
	perm := swapped(len(x.Shape), a, last-1)
	moved := b.transpose(x, perm...)
	if b.err != nil {
		return nil
	}
	outer := moved.Shape[:last-1]
	y := b.do(MatMul, nil, b.reshape(moved, dims(outer, ins*parts)), ir.ConstValue("", t))
	return b.transpose(b.reshape(y, dims(outer, outs, results)), perm...)
}

// readSTFT gathers the frames, multiplies by the window and transforms: signal [batch, length, 1] or [batch, length, 2].
func readSTFT(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	step, err := number(c, 1)
	if err != nil || b.err != nil {
		return errors.Join(err, b.err)
	}
	window := c.Value(2)
	length := int64(0)
	if window != nil {
		length = dimOr(window.Shape[0], 0)
	}
	if c.Value(3) != nil {
		if length, err = number(c, 3); err != nil {
			return err
		}
	}
	if len(x.Shape) == 2 {
		x = b.reshape(x, dims(x.Shape, 1))
	}
	size, ok := x.Shape[1].Const()
	if b.err != nil || !ok || length < 1 || length > size || length > maxSignal {
		return orElse(b.err, ir.NotSupported("STFT of %v entries in frames of %d", x.Shape[1], length))
	}
	frames := (size-length)/step + 1
	idx := make([]int64, frames*length)
	for i := range idx {
		idx[i] = int64(i)/length*step + int64(i)%length
	}
	y := b.do(Gather, GatherAttr{1}, x, ir.ConstValue("", ir.Ints(idx, frames, length)))
	if window != nil {
		y = b.mul(y, b.reshape(window, dims(length, 1)))
	}
	outs := length
	if c.Int("onesided", 1) != 0 {
		outs = length/2 + 1
	}
	return b.done(b.dft(y, 2, length, length, outs, false, 2))
}

// readMel is the matrix of triangular filters on the mel scale.
func readMel(c *ir.Import) error {
	var ints [3]int64
	for i := range ints {
		n, err := number(c, i)
		if err != nil && i < 2 {
			return err
		}
		ints[i] = n
	}
	rate, ok := constantOf(c.Inputs[2])
	low, high := c.Value(3), c.Value(4)
	if !ok || low == nil || high == nil || low.Const == nil || high.Const == nil {
		for _, v := range []*ir.Value{c.Inputs[2], low, high} {
			if v != nil && v.Const == nil {
				return ir.UnknownContents(v, "filters that depend on data")
			}
		}
		return fmt.Errorf("the edges are missing")
	}
	bins, dft := ints[0], ints[1]
	spectrum := dft/2 + 1
	mel := func(f float64) float64 { return float64(2595 * math.Log10(1+f/700)) }
	from, to := mel(low.Const.At(0).F), mel(high.Const.At(0).F)
	points := make([]int64, bins+2)
	for i := range points {
		m := float64(float64(i)*((to-from)/float64(bins+2))) + from
		points[i] = int64(math.Floor(float64(dft+1) * (700 * (math.Pow(10, m/2595) - 1)) / float64(rate)))
	}
	w := make([]float64, spectrum*bins)
	for i := range bins {
		l, c, h := points[i], points[i+1], points[i+2]
		if l == c && c < spectrum {
			w[c*bins+i] = 1
		}
		for j := l; j <= c && j < spectrum && c > l; j++ {
			w[j*bins+i] = float64(j-l) / float64(c-l)
		}
		for j := c; j < h && j < spectrum; j++ {
			w[j*bins+i] = float64(h-j) / float64(h-c)
		}
	}
	if bins < 1 {
		return fmt.Errorf("%d bins", bins)
	}
	return typed(c, []int64{spectrum, bins}, func(i int) float64 { return w[i] })
}
