package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "BatchNormalization", 1, readBatchNorm) }

// readBatchNorm reads a normalisation of each channel, axis 1.
func readBatchNorm(c *ir.Import) error {
	in, err := c.NeedAll(5)
	if err != nil {
		return err
	}
	if len(in[0].Shape) < 2 {
		return fmt.Errorf("rank %d", len(in[0].Shape))
	}
	if c.Int("training_mode", 0) != 0 {
		return readBatchNormTraining(c, in)
	}
	if c.NumOut > 1 {
		return ir.NotSupported("BatchNormalization in the training mode of opset %d", c.Opset)
	}
	return c.Return1(normalizeBatch(c, in))
}

// readBatchNormTraining normalises by the batch's own mean and variance and gives the running ones too (opset 14).
func readBatchNormTraining(c *ir.Import, in []*ir.Value) error {
	b := &builder{c: c}
	x := in[0]
	axes := []int64{0}
	for a := 2; a < len(x.Shape); a++ {
		axes = append(axes, int64(a))
	}
	mean := b.reduce(x, "mean", true, axes...)
	d := b.sub(x, mean)
	variance := b.reduce(b.mul(d, d), "mean", true, axes...)
	momentum := float64(c.Float("momentum", 0.9))
	running := func(old, now *ir.Value) *ir.Value {
		now = b.reshape(now, dims(x.Shape[1]))
		return b.add(b.mul(old, b.like(old, momentum)), b.mul(b.cast(now, old.Elem), b.like(old, 1-momentum)))
	}
	if b.err != nil {
		return b.err
	}
	y, err := normalizeBatch(c, []*ir.Value{x, in[1], in[2], mean, variance})
	if err != nil {
		return err
	}
	return b.done([]*ir.Value{y, running(in[3], mean), running(in[4], variance)}[:min(c.NumOut, 3)]...)
}

// normalizeBatch is (x - mean) / sqrt(variance + eps) * scale + bias; in holds x, scale, bias, mean and variance.
func normalizeBatch(c *ir.Import, in []*ir.Value) (*ir.Value, error) {
	col := make([]*ir.Value, 5)
	var err error
	for i := 1; i < 5; i++ {
		if col[i], err = reshape(c, in[i], column(sym.Product(in[i].Shape), len(in[0].Shape)-2)); err != nil {
			return nil, err
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
		return nil, err
	}
	d, err := c.Emit1(Sub, nil, in[0], col[3])
	if err == nil {
		d, err = c.Emit1(Mul, nil, d, v)
	}
	if err != nil {
		return nil, err
	}
	return c.Emit1(Add, nil, d, col[2])
}
