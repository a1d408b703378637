package op

import (
	"mmc/ir"
)

func init() {
	pass := func(c *ir.Import) error { return c.Return1(c.Need(0)) }
	ir.FromONNX("", "Identity", 1, pass)
	ir.FromONNX("", "Dropout", 7, readDropout)
}

// readDropout reads Dropout at inference: the identity, and a mask that is all true.
func readDropout(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil || c.NumOut < 2 {
		return c.Return1(v, err)
	}
	mask, err := c.Emit1(Equal, nil, v, v)
	return c.Return([]*ir.Value{v, mask}, err)
}
