package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Shrink", 9, readShrink)
}

// readShrink moves x towards zero by bias where |x| > lambd; what lies between becomes zero.
func readShrink(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	bias, lambda := float64(c.Float("bias", 0)), float64(c.Float("lambd", 0.5))
	up := b.do(Less, nil, x, b.like(x, -lambda))
	down := b.do(Less, nil, b.like(x, lambda), x)
	inner := b.do(Where, nil, down, b.sub(x, b.like(x, bias)), b.like(x, 0))
	return b.done(b.do(Where, nil, up, b.add(x, b.like(x, bias)), inner))
}
