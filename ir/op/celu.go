package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Celu", 12, readCelu)
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
