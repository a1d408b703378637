package op

import (
	"math"

	"mmc/ir"
)

func init() {
	ir.FromONNX("", "IsInf", 10, readIsInf)
}

// readIsInf compares with the infinities that are asked for.
func readIsInf(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	up, down := b.do(Equal, nil, x, b.like(x, math.Inf(1))), b.do(Equal, nil, x, b.like(x, math.Inf(-1)))
	switch {
	case c.Int("detect_negative", 1) == 0 && c.Int("detect_positive", 1) == 0:
		return b.done(b.do(And, nil, up, down))
	case c.Int("detect_negative", 1) == 0:
		return b.done(up)
	case c.Int("detect_positive", 1) == 0:
		return b.done(down)
	}
	return b.done(b.do(Or, nil, up, down))
}
