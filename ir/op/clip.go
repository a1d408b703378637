package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Clip", 1, readClip)
}

// readClip reads max(lo, min(x, hi)); until opset 10 the bounds are attributes.
func readClip(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	lo, hi := c.Value(1), c.Value(2)
	if _, ok := c.Attrs["min"]; ok {
		lo = ir.Scalar(v.Elem, float64(c.Float("min", 0)))
	}
	if _, ok := c.Attrs["max"]; ok {
		hi = ir.Scalar(v.Elem, float64(c.Float("max", 0)))
	}
	if lo != nil {
		v, err = c.Emit1(Max, nil, v, lo)
	}
	if hi != nil && err == nil {
		v, err = c.Emit1(Min, nil, v, hi)
	}
	return c.Return1(v, err)
}
