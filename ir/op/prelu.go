package op

import "mmc/ir"

func init() {
	ir.FromONNX("", "PRelu", 1, readPRelu)
}

// readPRelu is x for x >= 0 and slope x below. Before opset 7 a slope of one axis is one of channels.
func readPRelu(c *ir.Import) error {
	b := &builder{c: c}
	x, slope := b.need(0), b.need(1)
	if b.err == nil && c.Opset < 7 && len(slope.Shape) == 1 {
		slope = b.reshape(slope, column(slope.Shape[0], len(x.Shape)-2))
	}
	below := b.do(Less, nil, x, b.like(x, 0))
	return b.done(b.do(Where, nil, below, b.mul(x, slope), x))
}
