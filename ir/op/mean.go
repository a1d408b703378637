package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Mean", 1, readMean)
}

func readMean(c *ir.Import) error {
	b := &builder{c: c}
	sum := b.need(0)
	for i := 1; i < len(c.Inputs); i++ {
		sum = b.add(sum, b.need(i))
	}
	return b.done(b.div(sum, b.like(sum, float64(len(c.Inputs)))))
}
