package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "ReduceLogSum", 1, readReduceLogSum)
	ir.FromONNX("", "ReduceLogSumExp", 1, readReduceLogSumExp)
}

func readReduceLogSum(c *ir.Import) error {
	if err := readReduce(c, "sum"); err != nil {
		return err
	}
	return c.Return1(c.Emit1(Log, nil, c.Out[0]))
}

// readReduceLogSumExp takes the greatest element out first, so that nothing overflows.
func readReduceLogSumExp(c *ir.Import) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, _, err := reducedAxes(c, x)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	top := b.reduce(x, "max", true, axes...)
	sum := b.reduce(b.do(Exp, nil, b.sub(x, top)), "sum", true, axes...)
	y := b.add(b.do(Log, nil, sum), top)
	if b.err != nil || c.Int("keepdims", 1) != 0 {
		return b.done(y)
	}
	return b.done(b.reduce(y, "sum", false, axes...))
}
