package op

import (
	"mmc/ir"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "PRelu", 1, readPRelu)
	ir.FromONNX("", "ThresholdedRelu", 1, readThresholded)
	ir.FromONNX("", "Softsign", 1, readSoftsign)
	ir.FromONNX("", "Shrink", 9, readShrink)
	ir.FromONNX("", "Celu", 12, readCelu)
}

// readPRelu is x for x >= 0 and slope x below. Before opset 7 a slope of one axis is one of channels.
func readPRelu(c *ir.Import) error {
	b := &builder{c: c}
	x, slope := b.need(0), b.need(1)
	if b.err == nil && c.Opset < 7 && len(slope.Shape) == 1 {
		shape := append([]sym.Dim{}, slope.Shape...)
		for len(shape)+1 < len(x.Shape) {
			shape = append(shape, sym.Const(1))
		}
		slope = b.reshape(slope, shape)
	}
	below := b.do(Less, nil, x, b.like(x, 0))
	return b.done(b.do(Where, nil, below, b.mul(x, slope), x))
}

// readThresholded is x where x > alpha, else 0.
func readThresholded(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	above := b.do(Less, nil, b.like(x, float64(c.Float("alpha", 1))), x)
	return b.done(b.do(Where, nil, above, x, b.like(x, 0)))
}

// readSoftsign is x / (1 + |x|).
func readSoftsign(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	return b.done(b.div(x, b.add(b.do(Abs, nil, x), b.like(x, 1))))
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

// readCelu is max(0, x) + min(0, alpha (e^(x/alpha) - 1)).
func readCelu(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	alpha := float64(c.Float("alpha", 1))
	e := b.sub(b.do(Exp, nil, b.div(x, b.like(x, alpha))), b.like(x, 1))
	low := b.do(Min, nil, b.mul(e, b.like(x, alpha)), b.like(x, 0))
	return b.done(b.add(b.do(Max, nil, x, b.like(x, 0)), low))
}
