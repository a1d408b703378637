package op

import (
	"mmc/ir"
)

func init() {
	pass := func(c *ir.Import) error { return c.Return1(c.Need(0)) }
	ir.FromONNX("", "Identity", 1, pass)
	ir.FromONNX("", "Dropout", 1, readDropout)
}

// readDropout reads Dropout at inference: the identity, and a mask that is all true.
func readDropout(c *ir.Import) error {
	v, err := c.Need(0)
	if t := c.Value(2); t != nil && (t.Const == nil || t.Const.Len() != 1 || t.Const.At(0).I != 0 && !zeroRatio(c)) {
		return ir.NotSupported("Dropout in training mode")
	}
	if err != nil || c.NumOut < 2 {
		return c.Return1(v, err)
	}
	mask, err := c.Emit1(Equal, nil, v, v)
	return c.Return([]*ir.Value{v, mask}, err)
}

// zeroRatio reports whether the second input is the constant 0: then even training drops nothing.
func zeroRatio(c *ir.Import) bool {
	r := c.Value(1)
	return r != nil && r.Const != nil && r.Const.Len() == 1 && r.Const.At(0).F == 0
}
