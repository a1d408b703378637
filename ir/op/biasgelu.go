package op

import "mmc/ir"

// The GELUs that ONNX Runtime's optimiser writes (com.microsoft): BiasGelu is Gelu(x + bias), FastGelu its tanh form with an optional
// bias, QuickGelu x sigmoid(alpha x).
func init() {
	ir.FromONNX("com.microsoft", "Gelu", 1, func(c *ir.Import) error { return readBiasGelu(c, GeluAttr{}) })
	ir.FromONNX("com.microsoft", "BiasGelu", 1, func(c *ir.Import) error { return readBiasGelu(c, GeluAttr{}) })
	ir.FromONNX("com.microsoft", "FastGelu", 1, func(c *ir.Import) error { return readBiasGelu(c, GeluAttr{Tanh: true}) })
	ir.FromONNX("com.microsoft", "QuickGelu", 1, func(c *ir.Import) error {
		x, err := c.Need(0)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Silu, SiluAttr{Alpha: c.Float("alpha", 1.702)}, x))
	})
}

func readBiasGelu(c *ir.Import, a GeluAttr) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	if bias := c.Value(1); bias != nil {
		if x, err = c.Emit1(Add, nil, x, bias); err != nil {
			return err
		}
	}
	return c.Return(c.Emit(Gelu, a, x))
}
