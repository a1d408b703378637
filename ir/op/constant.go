package op

import (
	"mmc/ir"
)

func init() {
	ir.FromONNX("", "Constant", 1, readConstant)
}

func readConstant(c *ir.Import) error {
	for name, a := range c.Attrs {
		var t *ir.Tensor
		switch name {
		case "value":
			t = a.T
		case "value_float":
			t = ir.Floats([]float32{a.F})
		case "value_floats":
			t = ir.Floats(a.Floats, int64(len(a.Floats)))
		case "value_int":
			t = ir.Ints([]int64{a.I})
		case "value_ints":
			t = ir.Ints(a.Ints, int64(len(a.Ints)))
		case "value_string":
			t = words(c, a.S).Const
			t.Shape = nil
		case "value_strings":
			t = words(c, a.Strings...).Const
		}
		if t != nil {
			return c.Return1(ir.ConstValue(c.From, t), nil)
		}
	}
	return ir.NotSupported("a Constant that is not a dense tensor of numbers")
}
