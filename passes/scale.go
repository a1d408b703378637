package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Scale folds a batch normalisation into the convolution or layer before it: what multiplies each column goes into the weights, what
// is added to each becomes the bias.
var Scale = Rewrite("scale", "folds factors and sums of columns into constant weights",
	Rule{"scale", func() *ir.Op { return op.Mul }, scaleProduct},
	Rule{"", func() *ir.Op { return op.Sub }, subtracted},
	Rule{"", func() *ir.Op { return op.Add }, addedTwice},
	Rule{"", func() *ir.Op { return op.Add }, groupedBias})

// columns is v as a constant of one entry a column, which must be more than one column; nil if it is not.
func columns(v *ir.Value, size sym.Dim) []float32 {
	n, ok := size.Const()
	if !ok || n < 2 || v.Const == nil || v.Elem != loop.F32 || int64(v.Const.Len()) != n || len(v.Shape) == 0 || !v.Shape[len(v.Shape)-1].Is(n) {
		return nil
	}
	return ir.Slice[float32](v.Const)
}

// columnFactors is v as a constant of one entry a column of the weights w. One number for all of them is enough if nothing else reads w, which
// would be there twice.
func (c *Context) columnFactors(v, w *ir.Value) []float32 {
	if s := columns(v, w.Shape[1]); s != nil {
		return s
	}
	n, ok := w.Shape[1].Const()
	if !ok || v.Const == nil || v.Elem != loop.F32 || v.Const.Len() != 1 || len(c.Users(w)) != 1 {
		return nil
	}
	return slices.Repeat(ir.Slice[float32](v.Const), int(n))
}

// weighted is the product with constant weights that v is, alone or with a bias of constants.
func (c *Context) weighted(v *ir.Value) (prod *ir.Node, add *ir.Node, bias []float32) {
	if a := by(v, op.Add); a != nil && c.Only(a.Out[0]) != nil && len(v.Shape) > 0 {
		for _, o := range operands(a) {
			size := v.Shape[len(v.Shape)-1]
			if p, _, _ := c.weighted(o[0]); p != nil && o[0] == p.Out[0] {
				if bias = columns(o[1], size); bias != nil {
					return p, a, bias
				}
			}
		}
		return nil, nil, nil
	}
	n := by(v, op.MatMul)
	if n == nil {
		n = byGroups(v)
	}
	if n == nil || n.In[1].Const == nil || len(n.In[1].Shape) != 2 || c.Only(n.Out[0]) == nil || len(v.Shape) < 2 {
		return nil, nil, nil
	}
	return n, nil, nil
}

// byGroups is the convolution of channels, or groups of them, that v is made by.
func byGroups(v *ir.Value) *ir.Node {
	if n := by(v, op.Depthwise); n != nil {
		return n
	}
	return by(v, op.GroupedConv)
}

func vector(v []float32) *ir.Value { return ir.ConstValue("", ir.Floats(v, int64(len(v)))) }

// scaleProduct is (x W + b) * s = x (W s) + b s.
func scaleProduct(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		prod, add, bias := c.weighted(o[0])
		if prod == nil || !ir.SameShape(o[0].Shape, n.Out[0].Shape) {
			continue
		}
		s := c.columnFactors(o[1], prod.In[1])
		if s == nil {
			continue
		}
		w := ir.NewTensor(loop.F32, prod.In[1].Const.Shape...)
		from, to := ir.Slice[float32](prod.In[1].Const), ir.Slice[float32](w)
		for i := range to {
			to[i] = from[i] * s[i%len(s)]
		}
		in := append([]*ir.Value{}, prod.In...)
		in[1] = ir.ConstValue(prod.In[1].Name, w)
		p := ir.NewPatch(n, prod)
		y := p.Emit1(prod.Op, prod.Attr, in...)
		if add != nil {
			b := make([]float32, len(s))
			for i := range b {
				b[i] = bias[i] * s[i]
			}
			y = p.Emit1(op.Add, nil, y, vector(b))
		}
		return p.Replace(n.Out[0], y)
	}
	return nil
}

// subtracted is x W - m = x W + (-m).
func subtracted(c *Context, n *ir.Node) *ir.Patch {
	prod, _, _ := c.weighted(n.In[0])
	if prod == nil || !ir.SameShape(n.In[0].Shape, n.Out[0].Shape) {
		return nil
	}
	m := columns(n.In[1], prod.In[1].Shape[1])
	if m == nil {
		return nil
	}
	b := make([]float32, len(m))
	for i := range b {
		b[i] = -m[i]
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Add, nil, n.In[0], vector(b)))
}

// addedTwice is (x W + a) + b = x W + (a + b).
func addedTwice(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		prod, add, a := c.weighted(o[0])
		if prod == nil || add == nil || !ir.SameShape(o[0].Shape, n.Out[0].Shape) {
			continue
		}
		b := columns(o[1], prod.In[1].Shape[1])
		if b == nil {
			continue
		}
		sum := make([]float32, len(b))
		for i := range sum {
			sum[i] = a[i] + b[i]
		}
		p := ir.NewPatch(n, add)
		return p.Replace(n.Out[0], p.Emit1(op.Add, nil, prod.Out[0], vector(sum)))
	}
	return nil
}

// groupedBias moves a sum with constants into the convolution.
func groupedBias(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		d := byGroups(o[0])
		if d == nil || d.In[2] != nil || c.Only(o[0]) != n || !ir.SameShape(o[0].Shape, n.Out[0].Shape) {
			continue
		}
		if u := c.Only(n.Out[0]); u != nil && u.Op == op.Mul {
			continue // perhaps the factors of a normalisation
		}
		if b := columns(o[1], d.In[1].Shape[1]); b != nil {
			p := ir.NewPatch(n, d)
			return p.Replace(n.Out[0], p.Emit1(d.Op, d.Attr, d.In[0], d.In[1], vector(b)))
		}
	}
	return nil
}
