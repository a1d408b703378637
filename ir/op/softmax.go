package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Softmax is e^(x-max) / sum over the last axis.
var Softmax = ir.NewOp("softmax", "e^(x-max) / sum over the last axis", nil)

func init() {
	Softmax.Infer = func(n *ir.Node) error {
		if n.In[0].Elem != loop.F32 || len(n.In[0].Shape) == 0 {
			return ir.NotSupported("Softmax of %v of rank %d", n.In[0].Elem, len(n.In[0].Shape))
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, n.In[0].Shape
		return nil
	}
	Softmax.Row = func(*ir.Node) *loop.Kernel { return SoftmaxRow("softmax", AttentionAttr{Scale: 1}, false) }
	ir.FromONNX("", "Softmax", 1, readSoftmax)
	ir.FromONNX("", "LogSoftmax", 1, func(c *ir.Import) error {
		if err := readSoftmax(c); err != nil {
			return err
		}
		return c.Return1(c.Emit1(Log, nil, c.Out[0]))
	})
}

// SoftmaxRow is the kernel of one row: scores, a mask row to be added if masked, result. Scores are multiplied by the scale first and held
// within the cap; with the guard, what would be NaN (a row that is all -Inf) becomes 0.
func SoftmaxRow(name string, a AttentionAttr, masked bool) *loop.Kernel {
	b := loop.NewBuilder(name)
	x := b.Buffer(loop.Buf{Elem: loop.F32})
	m := -1
	if masked {
		m = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	var top, sum loop.Val
	factor := a.Scale
	if a.Cap != 0 {
		factor /= a.Cap
	}
	plain := a.Scale == 1 && a.Cap == 0 && !masked
	b.Loop(func() {
		v := b.Load(x)
		if factor != 1 {
			v = b.Mul(v, b.F(factor))
		}
		if a.Cap != 0 {
			v = b.Mul(b.Tanh(v), b.F(a.Cap))
		}
		if masked {
			v = b.Add(v, b.Load(m))
		}
		if !plain {
			b.Store(y, v)
		}
		top = b.Reduce(loop.MaxLanes, v)
	})
	b.Loop(func() {
		from := y
		if plain {
			from = x
		}
		e := b.ExpNeg(b.Sub(top, b.Load(from)))
		b.Store(y, e)
		sum = b.Reduce(loop.SumLanes, e)
	})
	inv := b.Div(b.F(1), sum)
	b.Loop(func() {
		p := b.Mul(b.Load(y), inv)
		if a.Guard {
			p = b.Do(loop.Select, b.Do(loop.Eq, p, p), p, b.F(0))
		}
		b.Store(y, p)
	})
	return b.Kernel()
}

// readSoftmax moves the axis to the end. Until opset 12 the axis starts a flattened tail, which is one softmax.
func readSoftmax(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	def := int64(-1)
	if c.Opset < 13 {
		def = 1
	}
	axis, err := axisOf(c.Int("axis", def), len(v.Shape))
	if err != nil {
		return err
	}
	last := len(v.Shape) - 1
	if axis == last {
		return c.Return(c.Emit(Softmax, nil, v))
	}
	if c.Opset < 13 {
		flat, err := reshape(c, v, []sym.Dim{sym.Product(v.Shape[:axis]), sym.Product(v.Shape[axis:])})
		if err != nil {
			return err
		}
		y, err := c.Emit1(Softmax, nil, flat)
		if err != nil {
			return err
		}
		return c.Return1(reshape(c, y, v.Shape))
	}
	perm := swapped(len(v.Shape), axis, last)
	t, err := transpose(c, v, perm...)
	if err != nil {
		return err
	}
	y, err := c.Emit1(Softmax, nil, t)
	if err != nil {
		return err
	}
	return c.Return1(transpose(c, y, perm...))
}

// swapped is the permutation that exchanges two axes.
func swapped(rank, a, b int) []int64 {
	perm := make([]int64, rank)
	for i := range perm {
		perm[i] = int64(i)
	}
	perm[a], perm[b] = perm[b], perm[a]
	return perm
}
