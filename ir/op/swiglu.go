package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "SwiGLU", 28, readSwiGLU)
}

// readSwiGLU is swish of the first input, with its slope alpha, times the second (Shazeer, 2020).
func readSwiGLU(c *ir.Import) error {
	b := &builder{c: c}
	g, v := b.need(0), b.need(1)
	return b.done(b.mul(b.do(Silu, SiluAttr{Alpha: c.Float("alpha", 1)}, g), v))
}
