package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "CenterCropPad", 18, readCenterCropPad)
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
