package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// NormAttr holds the number added to the variance; with RMS the mean is not subtracted.
type NormAttr struct {
	Eps float32
	RMS bool
}

// LayerNorm is (x - mean) / sqrt(variance + eps) * gamma + beta over the last axis (Ba, Kiros and Hinton, 2016). Inputs: x, gamma
// of shape [n], beta of shape [n] or absent. With RMS: x / sqrt(mean of squares + eps) * gamma (Zhang and Sennrich, 2019).
var LayerNorm = ir.NewOp("layernorm", "normalises the last axis", NormAttr{})

// AddLayerNorm is LayerNorm of x + r: inputs x, r, gamma, beta; outputs the norm and the sum.
var AddLayerNorm = ir.NewOp("add_layernorm", "normalises the last axis of a sum", NormAttr{})

func init() {
	LayerNorm.Infer = func(n *ir.Node) error { return inferScaledNorm(n, 1) }
	LayerNorm.Row = func(n *ir.Node) *loop.Kernel { return normRow(n, 1) }
	AddLayerNorm.NumOut = 2
	AddLayerNorm.Infer = func(n *ir.Node) error { return inferScaledNorm(n, 2) }
	AddLayerNorm.Row = func(n *ir.Node) *loop.Kernel { return normRow(n, 2) }
	ir.FromONNX("", "LayerNormalization", 1, func(c *ir.Import) error { return readNorm(c, false) })
	ir.FromONNX("", "RMSNormalization", 23, func(c *ir.Import) error { return readNorm(c, true) })
}

// inferScaledNorm is inferNorm for norms that are multiplied by a factor and may add a bias.
func inferScaledNorm(n *ir.Node, terms int) error {
	if extra := len(n.In) - terms; extra < 1 || extra > 2 {
		return fmt.Errorf("%d parameters, want a factor and perhaps a bias", extra)
	}
	return inferNorm(n, terms)
}

func inferNorm(n *ir.Node, terms int) error {
	x := n.In[0]
	if x.Elem != loop.F32 {
		return ir.NotSupported("normalisation of %v", x.Elem)
	}
	if len(x.Shape) == 0 {
		return fmt.Errorf("the input is a scalar")
	}
	for _, v := range n.In[1:terms] {
		if v.Elem != x.Elem || !ir.SameShape(v.Shape, x.Shape) {
			return fmt.Errorf("terms of shapes %v and %v", x.Shape, v.Shape)
		}
	}
	for _, v := range n.In[terms:] {
		if len(v.Shape) != 1 || v.Elem != loop.F32 {
			return fmt.Errorf("a parameter is %v of rank %d", v.Elem, len(v.Shape))
		}
		if err := ir.Equal(x.Shape[len(x.Shape)-1], v.Shape[0]); err != nil {
			return err
		}
	}
	for _, o := range n.Out {
		o.Elem, o.Shape = x.Elem, x.Shape
	}
	return nil
}

func normRow(n *ir.Node, terms int) *loop.Kernel {
	a := n.Attr.(NormAttr)
	b := loop.NewBuilder(n.Op.Name)
	in := make([]int, len(n.In))
	for i := range in {
		in[i] = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	src := in[0]
	if terms > 1 {
		src = b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	}
	term := func() loop.Val {
		v := b.Load(in[0])
		if terms > 1 {
			v = b.Add(v, b.Load(in[1]))
			b.Store(src, v)
		}
		return v
	}
	scale, mean := normStats(b, a, src, term)
	b.Loop(func() {
		v := b.Load(src)
		if !a.RMS {
			v = b.Sub(v, mean)
		}
		v = b.Mul(v, scale)
		if len(in) > terms+1 {
			v = b.FMA(v, b.Load(in[terms]), b.Load(in[terms+1]))
		} else {
			v = b.Mul(v, b.Load(in[terms]))
		}
		b.Store(y, v)
	})
	return b.Kernel()
}

// normStats builds the loops over the row that give 1/sqrt(variance + eps) and, unless RMS, the mean.
func normStats(b *loop.Builder, a NormAttr, src int, term func() loop.Val) (scale, mean loop.Val) {
	var sum, squares loop.Val
	if a.RMS {
		b.Loop(func() {
			v := term()
			squares = b.Reduce(loop.DotLanes, v, v)
		})
	} else {
		b.Loop(func() { sum = b.Reduce(loop.SumLanes, term()) })
		mean = b.Div(sum, b.Len())
		b.Loop(func() {
			d := b.Sub(b.Load(src), mean)
			squares = b.Reduce(loop.DotLanes, d, d)
		})
	}
	variance := b.Div(squares, b.Len())
	return b.Div(b.F(1), b.Do(loop.Sqrt, b.Add(variance, b.F(a.Eps)))), mean
}

// readNorm flattens the normalised axes to one.
func readNorm(c *ir.Import, rms bool) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	axis, err := axisOf(c.Int("axis", -1), len(x.Shape))
	if err != nil {
		return err
	}
	width := sym.Product(x.Shape[axis:])
	flat, err := reshape(c, x, append(append([]sym.Dim{}, x.Shape[:axis]...), width))
	if err != nil {
		return err
	}
	in := []*ir.Value{flat}
	for _, v := range c.Inputs[1:] {
		if v == nil {
			continue
		}
		if v, err = expand(c, v, x.Shape[axis:]); err == nil {
			v, err = reshape(c, v, []sym.Dim{width})
		}
		if err != nil {
			return err
		}
		in = append(in, v)
	}
	y, err := c.Emit1(LayerNorm, NormAttr{Eps: c.Float("epsilon", 1e-5), RMS: rms}, in...)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	outs := []*ir.Value{b.reshape(y, x.Shape)}
	if c.NumOut > 1 {
		outs = append(outs, b.stats(x, axis, c.Float("epsilon", 1e-5))...)
	}
	return b.done(outs...)
}

// stats are the mean and 1/sqrt(variance + eps) over the axes from axis on, which stay with size 1.
func (b *builder) stats(x *ir.Value, axis int, eps float32) []*ir.Value {
	var axes []int64
	for a := axis; a < len(x.Shape); a++ {
		axes = append(axes, int64(a))
	}
	mean := b.reduce(x, "mean", true, axes...)
	d := b.sub(x, mean)
	variance := b.reduce(b.mul(d, d), "mean", true, axes...)
	inv := b.do(Reciprocal, nil, b.do(Sqrt, nil, b.add(variance, b.like(x, float64(eps)))))
	return []*ir.Value{mean, inv}
}
