package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// LayerNorm recomposes the normalisation that exporters write as mean, difference, square, mean, square root and division,
// with or without the affine step that follows.
var LayerNorm = Rewrite("layernorm", "recomposes layer normalisation", Rule{"layernorm", func() *ir.Op { return op.Div }, layerNorm})

func layerNorm(c *Context, n *ir.Node) *ir.Patch {
	root := by(n.In[1], op.Sqrt) // d / sqrt(…)
	if root == nil {
		return nil
	}
	eps, variance := plusConst(root.In[0]) // d / sqrt(variance + eps)
	if variance == nil {
		return nil
	}
	squares := meanOf(variance) // variance = mean(squares)
	d := n.In[0]
	if squares == nil || !isSquare(squares, d) { // squares = d²
		return nil
	}
	sub := by(d, op.Sub) // d = x - mean
	if sub == nil {
		return c.Miss(n, "layernorm", "what is divided is not a difference from the mean")
	}
	x := sub.In[0]
	if m := meanOf(sub.In[1]); m != x {
		return c.Miss(n, "layernorm", "the mean subtracted is not the mean of the same value over the last axis")
	}
	last, ok := x.Shape[len(x.Shape)-1].Const()
	if !ok {
		return c.Miss(n, "layernorm", "the size of the normalised axis is not known")
	}
	gamma, beta, end := c.affine(n, last)
	if gamma == nil {
		gamma = filled(last, 1)
	}
	in := []*ir.Value{x, gamma}
	if beta != nil {
		in = append(in, beta)
	}
	p := ir.NewPatch(end, n, root, sub)
	return p.Replace(end.Out[0], p.Emit1(op.LayerNorm, op.NormAttr{Eps: float32(eps)}, in...))
}

func plusConst(v *ir.Value) (k float64, x *ir.Value) {
	if add := by(v, op.Add); add != nil {
		for _, o := range operands(add) {
			if k, ok := scalar(o[1]); ok {
				return k, o[0]
			}
		}
	}
	return 0, nil
}

// meanOf is x if v is the mean of x over the last axis, kept as an axis of size 1.
func meanOf(v *ir.Value) *ir.Value {
	r := by(v, op.Reshape)
	if r == nil {
		return nil
	}
	m := by(r.In[0], op.Reduce)
	if m == nil || m.Attr.(op.ReduceAttr).Kind != "mean" || len(r.Out[0].Shape) != len(m.In[0].Shape) || !r.Out[0].Shape[len(r.Out[0].Shape)-1].Is(1) {
		return nil
	}
	return m.In[0]
}

func isSquare(v, d *ir.Value) bool {
	if m := by(v, op.Mul); m != nil {
		return sameDifference(m.In[0], d) && sameDifference(m.In[1], d)
	}
	p := by(v, op.Pow)
	if p == nil {
		return false
	}
	k, ok := scalar(p.In[1])
	return ok && k == 2 && sameDifference(p.In[0], d)
}

// sameDifference also accepts a second subtraction of the same operands, which some exporters write.
func sameDifference(a, b *ir.Value) bool {
	if a == b {
		return true
	}
	x, y := by(a, op.Sub), by(b, op.Sub)
	return x != nil && y != nil && x.In[0] == y.In[0] && x.In[1] == y.In[1]
}

// affine follows the only reader of n through a product with a vector and a sum with another.
func (c *Context) affine(n *ir.Node, size int64) (gamma, beta *ir.Value, end *ir.Node) {
	end = n
	mul := c.Only(n.Out[0])
	if mul == nil || mul.Op != op.Mul {
		return nil, nil, end
	}
	if gamma = otherVector(mul, n.Out[0], size); gamma == nil {
		return nil, nil, end
	}
	end = mul
	if add := c.Only(mul.Out[0]); add != nil && add.Op == op.Add {
		if beta = otherVector(add, mul.Out[0], size); beta != nil {
			end = add
		}
	}
	return gamma, beta, end
}

// otherVector is the operand of n that is not v, if it is a constant vector of the size.
func otherVector(n *ir.Node, v *ir.Value, size int64) *ir.Value {
	for _, o := range operands(n) {
		if o[0] == v && o[1].Const != nil && len(o[1].Shape) == 1 && o[1].Shape[0].Is(size) && ir.SameShape(v.Shape, n.Out[0].Shape) {
			return o[1]
		}
	}
	return nil
}

func filled(n int64, x float64) *ir.Value {
	t := ir.NewTensor(loop.F32, n)
	for i := range t.Len() {
		t.Set(i, loop.Scalar{F: x})
	}
	return ir.ConstValue("", t)
}
