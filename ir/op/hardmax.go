package op

import (
	"mmc/ir"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "Hardmax", 1, readHardmax)
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
	top, err := topAlong(c, x, axis, TopKAttr{K: ir.MakeDims(sym.Consts(1))})
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
