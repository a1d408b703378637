package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "AffineGrid", 20, readAffineGrid)
	ir.FromONNX("", "CenterCropPad", 18, readCenterCropPad)
	ir.FromONNX("", "SwiGLU", 28, readSwiGLU)
}

// readAffineGrid maps the places of the result, -1 to 1 along each axis, by theta [batch, axes, axes+1].
func readAffineGrid(c *ir.Import) error {
	b := &builder{c: c}
	theta := b.need(0)
	size, ok, err := c.ConstInts(1, "")
	if b.err != nil || err != nil || !ok || len(size) != 4 && len(size) != 5 {
		return errors.Join(b.err, err, missing(ok && (len(size) == 4 || len(size) == 5), "four or five sizes"))
	}
	r, corners := len(size)-2, c.Int("align_corners", 0) != 0
	n := int64(1)
	for _, d := range size {
		if d < 1 || d > maxSamples || n > maxSamples/d {
			return ir.NotSupported("AffineGrid of sizes %v", size)
		}
		n *= d
	}
	n = ir.NumElements(size[2:])
	t := ir.NewTensor(loop.F32, n, int64(r+1))
	w, row := ir.Slice[float32](t), 0
	forEach(size[2:], func(idx []int64) {
		for k := range r {
			d, i := float64(size[1+r-k]), float64(idx[r-1-k]) // the last axis comes first
			x := (2*i+1)/d - 1
			if corners {
				x = 0
				if d > 1 {
					x = 2*i/(d-1) - 1
				}
			}
			w[row*(r+1)+k] = float32(x)
		}
		w[row*(r+1)+r] = 1
		row++
	})
	y := b.do(MatMul, nil, ir.ConstValue("", t), b.transpose(theta, 0, 2, 1))
	return b.done(b.reshape(y, dims(theta.Shape[0], sym.Consts(size[2:]...), r)))
}

// readCenterCropPad cuts or pads axes on both sides alike; what is odd goes to the end.
func readCenterCropPad(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	shape, ok, err := c.Dims(1, "")
	if b.err != nil || err != nil || !ok {
		return errors.Join(b.err, err, missing(ok, "shape"))
	}
	axes, given := c.Ints("axes")
	if !given {
		for a := range x.Shape {
			axes = append(axes, int64(a))
		}
	}
	if len(axes) != len(shape) {
		return fmt.Errorf("%d sizes for %d axes", len(shape), len(axes))
	}
	p := padding{b, "constant", ir.Scalar(x.Elem, 0)}
	for i, axis := range axes {
		a, err := axisOf(axis, len(x.Shape))
		if err != nil || b.err != nil {
			return errors.Join(err, b.err)
		}
		size, want := x.Shape[a], shape[i]
		two := sym.Const(2)
		switch {
		case want == size:
		case want.LessEq(size) == sym.True:
			x = b.slice(x, a, size.Sub(want).FloorDiv(two), want)
		case size.LessEq(want) == sym.True:
			before := want.Sub(size).FloorDiv(two)
			x = p.axis(x, a, before, want.Sub(size).Sub(before))
		default:
			return ir.NotSupported("CenterCropPad of %v to %v", size, want)
		}
	}
	return b.done(x)
}

// readSwiGLU is swish of the first input, with its slope alpha, times the second (Shazeer, 2020).
func readSwiGLU(c *ir.Import) error {
	b := &builder{c: c}
	g, v := b.need(0), b.need(1)
	return b.done(b.mul(b.do(Silu, SiluAttr{Alpha: c.Float("alpha", 1)}, g), v))
}
