package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "InstanceNormalization", 1, func(c *ir.Import) error {
		b := &builder{c: c}
		x := b.need(0)
		if b.err == nil && len(x.Shape) < 3 {
			return fmt.Errorf("rank %d", len(x.Shape))
		}
		return b.done(b.groupNorm(x, nil, b.need(1), b.need(2), c.Float("epsilon", 1e-5)))
	})
	ir.FromONNX("", "GroupNormalization", 18, readGroupNorm)
	ir.FromONNX("", "MeanVarianceNormalization", 9, readMeanVariance)
	ir.FromONNX("", "LpNormalization", 1, readLpNorm)
	ir.FromONNX("", "LRN", 1, readLRN)
}

// readGroupNorm reads GroupNormalization; before opset 21 scale and bias have one entry a group (Wu and He, 2018).
func readGroupNorm(c *ir.Import) error {
	b := &builder{c: c}
	x, scale, bias := b.need(0), b.need(1), b.need(2)
	groups := c.Int("num_groups", 0)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) < 2 || groups < 1 {
		return fmt.Errorf("%d groups for rank %d", groups, len(x.Shape))
	}
	each, ok := x.Shape[1].Div(sym.Const(groups))
	if !ok {
		return fmt.Errorf("%v channels in %d groups", x.Shape[1], groups)
	}
	if scale.Shape[0].Is(groups) && !each.Is(1) {
		spread := func(v *ir.Value) *ir.Value {
			wide := b.expand(b.reshape(v, dims(groups, 1)), dims(groups, each))
			return b.reshape(wide, dims(x.Shape[1]))
		}
		scale, bias = spread(scale), spread(bias)
	}
	return b.done(b.groupNorm(x, &groups, scale, bias, c.Float("epsilon", 1e-5)))
}

// groupNorm normalises groups of channels, by default each its own; scale and bias have one entry a channel.
func (b *builder) groupNorm(x *ir.Value, groups *int64, scale, bias *ir.Value, eps float32) *ir.Value {
	if b.err != nil {
		return nil
	}
	g := x.Shape[1]
	if groups != nil {
		g = sym.Const(*groups)
	}
	width, ok := sym.Product(x.Shape[1:]).Div(g)
	if !ok {
		b.err = fmt.Errorf("%v channels in %v groups", x.Shape[1], g)
		return nil
	}
	flat := b.reshape(x, dims(x.Shape[0].Mul(g), width))
	y := b.reshape(b.normalise(flat, eps), x.Shape)
	col := column(x.Shape[1], len(x.Shape)-2)
	return b.add(b.mul(y, b.reshape(scale, col)), b.reshape(bias, col))
}

// normalise is (x - mean) / sqrt(variance + eps) over the last axis of two.
func (b *builder) normalise(x *ir.Value, eps float32) *ir.Value {
	if b.err != nil {
		return nil
	}
	mean := b.reduce(x, "mean", true, 1)
	d := b.sub(x, mean)
	variance := b.reduce(b.mul(d, d), "mean", true, 1)
	return b.div(d, b.do(Sqrt, nil, b.add(variance, b.like(x, float64(eps)))))
}

// readMeanVariance is (x - mean) / (deviation + 1e-9) over the axes.
func readMeanVariance(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	axes, ok := c.Ints("axes")
	if !ok {
		axes = []int64{0, 2, 3}
	}
	mean := b.reduce(x, "mean", true, axes...)
	square := b.reduce(b.mul(x, x), "mean", true, axes...)
	if b.err != nil {
		return b.err
	}
	dev := b.do(Sqrt, nil, b.sub(square, b.mul(mean, mean)))
	return b.done(b.div(b.sub(x, mean), b.add(dev, b.like(x, 1e-9))))
}

// readLpNorm divides by the norm along an axis; where that is zero the result is.
func readLpNorm(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	kind := map[int64]string{1: "l1", 2: "l2"}[c.Int("p", 2)]
	if kind == "" {
		return fmt.Errorf("p is %d", c.Int("p", 2))
	}
	norm := b.reduce(x, kind, true, c.Int("axis", -1))
	if b.err != nil {
		return b.err
	}
	zero := b.do(Equal, nil, norm, b.like(x, 0))
	return b.done(b.div(x, b.do(Where, nil, zero, b.like(x, 1), norm)))
}

// readLRN is x / (bias + alpha/size * sum of squares of neighbouring channels)^beta (Krizhevsky et al., 2012).
func readLRN(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	size := c.Int("size", 0)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) < 3 || size < 1 || x.Elem != loop.F32 {
		return fmt.Errorf("size %d for rank %d", size, len(x.Shape))
	}
	shape, planes := x.Shape, sym.Product(x.Shape[2:])
	// The channels become an image of one column; its average pooling with zeros counted is the sum over size.
	square := b.reshape(b.mul(x, x), dims(shape[0], shape[1], planes))
	rows := b.reshape(b.transpose(square, 0, 2, 1), dims(shape[0].Mul(planes), 1, shape[1]))
	pool := PoolAttr{Kernel: ir.MakeInts(size), Strides: ir.MakeInts(1), Dilations: ir.MakeInts(1),
		Pads: ir.MakeInts((size-1)/2, size-1-(size-1)/2), CountPad: true}
	mean := b.reshape(b.do(Pool, pool, rows), dims(shape[0], planes, shape[1]))
	mean = b.reshape(b.transpose(mean, 0, 2, 1), shape)
	base := b.add(b.mul(mean, b.like(x, float64(c.Float("alpha", 1e-4)))), b.like(x, float64(c.Float("bias", 1))))
	return b.done(b.div(x, b.do(Pow, nil, base, b.like(x, float64(c.Float("beta", 0.75))))))
}
