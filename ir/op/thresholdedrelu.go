package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "ThresholdedRelu", 1, readThresholded)
}

// readThresholded is x where x > alpha, else 0.
func readThresholded(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	above := b.do(Less, nil, b.like(x, float64(c.Float("alpha", 1))), x)
	return b.done(b.do(Where, nil, above, x, b.like(x, 0)))
}
