package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "BatchNormalization", 1, readBatchNorm) }

// readBatchNorm reads inference: (x - mean) / sqrt(variance + eps) * scale + bias along axis 1.
func readBatchNorm(c *ir.Import) error {
	in, err := c.NeedAll(5)
	if err != nil {
		return err
	}
	if c.NumOut > 1 || c.Int("training_mode", 0) != 0 {
		return ir.NotSupported("BatchNormalization in training mode")
	}
	if len(in[0].Shape) < 2 {
		return fmt.Errorf("rank %d", len(in[0].Shape))
	}
	col := make([]*ir.Value, 5)
	for i := 1; i < 5; i++ {
		if col[i], err = reshape(c, in[i], column(sym.Product(in[i].Shape), len(in[0].Shape)-2)); err != nil {
			return err
		}
	}
	eps := ir.Scalar(in[4].Elem, float64(c.Float("epsilon", 1e-5)))
	v, err := c.Emit1(Add, nil, col[4], eps)
	if err == nil {
		v, err = c.Emit1(Sqrt, nil, v)
	}
	if err == nil {
		v, err = c.Emit1(Div, nil, col[1], v)
	}
	if err != nil {
		return err
	}
	d, err := c.Emit1(Sub, nil, in[0], col[3])
	if err == nil {
		d, err = c.Emit1(Mul, nil, d, v)
	}
	if err != nil {
		return err
	}
	return c.Return1(c.Emit1(Add, nil, d, col[2]))
}
