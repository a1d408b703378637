package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Softsign", 1, readSoftsign)
}

// readSoftsign is x / (1 + |x|).
func readSoftsign(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	return b.done(b.div(x, b.add(b.do(Abs, nil, x), b.like(x, 1))))
}
