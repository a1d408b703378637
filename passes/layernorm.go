package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// LayerNorm recomposes normalisation that exporters write out: mean, difference, square, mean, square root, and a division or
// the product with a reciprocal, with or without the affine step that follows. Without the difference it is the RMS norm.
var LayerNorm = Rewrite("layernorm", "recomposes layer and RMS normalisation",
	Rule{"layernorm", func() *ir.Op { return op.Add }, spreadNorm}, Rule{"layernorm", func() *ir.Op { return op.Sub }, spreadNorm},
	Rule{"layernorm", func() *ir.Op { return op.Div }, layerNorm}, Rule{"layernorm", func() *ir.Op { return op.Mul }, layerNorm})

func layerNorm(c *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		inside := underRoot(n.Op, o[1]) // d / sqrt(inside)
		if o[0].Const != nil {
			continue // the factor, which the sum or product behind n has
		}
		if inside == nil && n.Op == op.Mul {
			if p := scaledRoot(n, o[0], o[1]); p != nil {
				return p
			}
		}
		eps, variance := plusConst(inside)
		if x := varianceOf(variance); x != nil && isCentred(o[0], x) {
			return c.normOf(n, x, eps, false)
		}
		squares := meanOf(variance) // inside = mean(squares) + eps
		if squares == nil {
			continue
		}
		return c.norm(n, o[0], squares, eps)
	}
	return nil
}

// scaledRoot builds the patch for the RMS norm as x s with s = gamma / sqrt(mean(x x) + eps).
func scaledRoot(n *ir.Node, x, s *ir.Value) *ir.Patch {
	variance, eps, gamma := factorOf(n, x, s)
	squares := meanOf(variance)
	if squares == nil || !isSquare(squares, x) {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.LayerNorm, op.NormAttr{Eps: float32(eps), RMS: true}, x, gamma))
}

// factorOf takes s = gamma / sqrt(variance + eps), by which n multiplies x of its own shape, apart; all are nil if it is something else.
// gamma is ones if there is none.
func factorOf(n *ir.Node, x, s *ir.Value) (variance *ir.Value, eps float64, gamma *ir.Value) {
	if len(x.Shape) == 0 || !ir.SameShape(x.Shape, n.Out[0].Shape) {
		return nil, 0, nil
	}
	size, known := x.Shape[len(x.Shape)-1].Const()
	if !known {
		return nil, 0, nil
	}
	inside := underRoot(op.Mul, s)
	if inside != nil {
		gamma = filled(size, 1)
	} else if mul := by(s, op.Mul); mul != nil {
		for _, o := range operands(mul) {
			if root := underRoot(op.Mul, o[0]); root != nil && gamma == nil {
				inside, gamma = root, vectorOf(o[1], size)
			}
		}
	}
	if gamma == nil {
		return nil, 0, nil
	}
	eps, variance = plusConst(inside)
	return variance, eps, gamma
}

// spreadNorm is the norm as x s + (beta - mean(x) s) with s = gamma / sqrt(variance + eps), at the last sum or difference.
func spreadNorm(_ *Context, n *ir.Node) *ir.Patch {
	for _, o := range operands(n) {
		mul := by(o[0], op.Mul)
		if mul == nil || n.Op == op.Sub && o[0] != n.In[0] {
			continue
		}
		for _, f := range operands(mul) {
			x, s := f[0], f[1]
			beta, ok := shiftOf(n.Op, o[1], x, s)
			if !ok {
				continue
			}
			if p := scaledNorm(n, x, s, beta); p != nil {
				return p
			}
		}
	}
	return nil
}

// shiftOf takes beta - mean(x) s, or mean(x) s under a difference, apart: beta is nil if there is none.
func shiftOf(root *ir.Op, v, x, s *ir.Value) (beta *ir.Value, ok bool) {
	if isMeanTimes(v, x, s, root == op.Sub) {
		return nil, true
	}
	if root == op.Sub {
		return nil, false
	}
	if sub := by(v, op.Sub); sub != nil && isMeanTimes(sub.In[1], x, s, true) {
		return sub.In[0], true
	}
	if add := by(v, op.Add); add != nil {
		for _, o := range operands(add) {
			if isMeanTimes(o[0], x, s, false) {
				return o[1], true
			}
		}
	}
	return nil, false
}

// isMeanTimes reports whether v is mean(x) s or, unless positive, that with the sign changed.
func isMeanTimes(v, x, s *ir.Value, positive bool) bool {
	if neg := by(v, op.Neg); neg != nil && !positive {
		return isMeanTimes(neg.In[0], x, s, true)
	}
	mul := by(v, op.Mul)
	if mul == nil {
		return false
	}
	for _, o := range operands(mul) {
		mean := o[0]
		if neg := by(mean, op.Neg); neg != nil && !positive {
			mean = neg.In[0]
		} else if !positive {
			continue
		}
		if o[1] == s && meanOf(mean) == x {
			return true
		}
	}
	return false
}

// scaledNorm builds the patch for the norm of x that ends at n, with its factor s = gamma / sqrt(variance + eps) and beta or nil.
func scaledNorm(n *ir.Node, x, s, beta *ir.Value) *ir.Patch {
	variance, eps, gamma := factorOf(n, x, s)
	if gamma == nil || varianceOf(variance) != x && !isSpread(meanOf(variance), x) {
		return nil
	}
	in := []*ir.Value{x, gamma}
	if beta != nil {
		if beta = vectorOf(beta, gamma.Const.Shape[0]); beta == nil {
			return nil
		}
		in = append(in, beta)
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.LayerNorm, op.NormAttr{Eps: float32(eps)}, in...))
}

// isSpread reports whether v is the square of x - mean(x).
func isSpread(v, x *ir.Value) bool {
	d := differenceIn(v)
	return d != nil && isCentred(d.Out[0], x)
}

// differenceIn is the difference of which v is the square, or nil.
func differenceIn(v *ir.Value) *ir.Node {
	for _, o := range []*ir.Op{op.Mul, op.Pow} {
		if sq := by(v, o); sq != nil {
			if d := by(sq.In[0], op.Sub); d != nil && isSquare(v, sq.In[0]) {
				return d
			}
		}
	}
	return nil
}

// vectorOf is a constant whose last axis has the size and whose others have size 1, as a vector; nil if v is something else.
func vectorOf(v *ir.Value, size int64) *ir.Value {
	if v.Const == nil || int64(v.Const.Len()) != size || len(v.Shape) == 0 || !v.Shape[len(v.Shape)-1].Is(size) {
		return nil
	}
	if len(v.Shape) == 1 {
		return v
	}
	return ir.ConstValue("", &ir.Tensor{Elem: v.Const.Elem, Shape: []int64{size}, Data: v.Const.Data})
}

// underRoot is x if the operand of a division is sqrt(x), or of a product 1/sqrt(x) or x^-0.5.
func underRoot(o *ir.Op, v *ir.Value) *ir.Value {
	if o == op.Mul {
		if p := by(v, op.Pow); p != nil {
			if e, ok := scalar(p.In[1]); ok && e == -0.5 {
				return p.In[0]
			}
		}
		if r := by(v, op.Reciprocal); r != nil {
			v = r.In[0]
		} else if d := by(v, op.Div); d != nil {
			if one, ok := scalar(d.In[0]); !ok || one != 1 {
				return nil
			}
			v = d.In[1]
		} else {
			return nil
		}
	}
	if s := by(v, op.Sqrt); s != nil {
		return s.In[0]
	}
	return nil
}

// norm builds the patch for d / sqrt(mean(squares) + eps) at n.
func (c *Context) norm(n *ir.Node, d, squares *ir.Value, eps float64) *ir.Patch {
	if sub := differenceIn(squares); sub != nil && sub.In[0] == d {
		return nil // the sum that reads n may be a norm
	}
	if !isSquare(squares, d) {
		return c.Miss(n, "layernorm", "what is divided is not what is squared")
	}
	if sub := by(d, op.Sub); sub != nil && isCentred(d, sub.In[0]) {
		return c.normOf(n, sub.In[0], eps, false)
	}
	return c.normOf(n, d, eps, true)
}

// isCentred reports whether v is x - mean(x).
func isCentred(v, x *ir.Value) bool {
	sub := by(v, op.Sub)
	return sub != nil && sub.In[0] == x && meanOf(sub.In[1]) == x
}

// varianceOf is x if v is mean(x x) - mean(x) mean(x), perhaps kept from being negative.
func varianceOf(v *ir.Value) *ir.Value {
	if top := by(v, op.Max); top != nil {
		for _, o := range operands(top) {
			if zero, ok := scalar(o[1]); ok && zero == 0 {
				v = o[0]
			}
		}
	}
	sub := by(v, op.Sub)
	if sub == nil {
		return nil
	}
	m := by(sub.In[1], op.Mul)
	if m == nil || m.In[0] != m.In[1] {
		return nil
	}
	x := meanOf(m.In[0])
	if x == nil || !isSquare(meanOf(sub.In[0]), x) {
		return nil
	}
	return x
}

// normOf builds the patch for the normalised x at n, and the affine step behind it.
func (c *Context) normOf(n *ir.Node, x *ir.Value, eps float64, rms bool) *ir.Patch {
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
	p := ir.NewPatch(end, n)
	return p.Replace(end.Out[0], p.Emit1(op.LayerNorm, op.NormAttr{Eps: float32(eps), RMS: rms}, in...))
}

// plusConst is k and x if v is x + k.
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
func meanOf(v *ir.Value) *ir.Value { return reducedBy(v, "mean") }

// sumOf is meanOf for sums.
func sumOf(v *ir.Value) *ir.Value { return reducedBy(v, "sum") }

func reducedBy(v *ir.Value, kind string) *ir.Value {
	r := by(v, op.Reshape)
	if r == nil {
		return nil
	}
	m := by(r.In[0], op.Reduce)
	if m == nil || m.Attr.(op.ReduceAttr).Kind != kind || len(r.Out[0].Shape) != len(m.In[0].Shape) || !r.Out[0].Shape[len(r.Out[0].Shape)-1].Is(1) {
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
		if o[0] == v && ir.SameShape(v.Shape, n.Out[0].Shape) {
			return vectorOf(o[1], size)
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
