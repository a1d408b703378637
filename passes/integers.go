package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Integers multiplies bytes before they are dequantised rather than after: with one scale for all of x, and one for each column of W,
// (s x) (t W) is (s t) (x W), and x W is exact. Convolutions are products of windows' rows, and around an image is 0 either way.
var Integers = Rewrite("integers", "multiplies bytes before they are dequantised", Rule{"integers", func() *ir.Op { return op.MatMul }, integers})

// fewAgain is the inverse of the part of a window's columns that may come again: a product of twice the depth is slower than one of f32.
const fewAgain = 8

func integers(c *Context, n *ir.Node) *ir.Patch {
	x, s, moves := dequantised(n.In[0], op.Transpose, op.Reshape, op.Patches, op.Im2Col)
	if x == nil {
		return nil
	}
	zero, lo, ok := centred(x)
	if !ok {
		return nil
	}
	w, again, t := byteColumns(n.In[1])
	if w == nil {
		return c.Miss(n, "integers", "the other operand is no matrix of bytes with one scale a column")
	}
	windows := slices.ContainsFunc(moves, func(m *ir.Node) bool { return m.Op == op.Patches })
	if windows && again != nil && int64(again.Const.Len())*fewAgain > w.Const.Shape[0] {
		return c.Miss(n, "integers", "too many weights of windows have nine bits")
	}
	p := ir.NewPatch(n)
	x = moved(p, x, moves)
	for i := range t {
		t[i] *= float32(s)
	}
	y := p.Emit1(op.ByteLinear, op.ByteLinearAttr{Lo: lo - zero}, x, w, nil, nil, again)
	return p.Replace(n.Out[0], p.Emit1(op.Mul, nil, y, vector(t)))
}

// dequantised is what v is the scale s times, after moves of some kinds from the last to the first one; nil if v is not of that kind.
func dequantised(v *ir.Value, kinds ...*ir.Op) (x *ir.Value, s float64, moves []*ir.Node) {
	v, moves = back(v, kinds...)
	m := by(v, op.Mul)
	if m == nil {
		return nil, 0, nil
	}
	s, ok := number(m.In[1])
	if !ok {
		return nil, 0, nil
	}
	return m.In[0], s, moves
}

// centred reports whether x is an integer of eight bits less a constant zero point, and the least such integer.
func centred(x *ir.Value) (zero, lo int64, ok bool) {
	if sub := by(x, op.Sub); sub != nil {
		z, is := number(sub.In[1])
		if !is || !isWhole(z) {
			return 0, 0, false
		}
		x, zero = sub.In[0], int64(z)
	}
	q := by(x, op.Cast)
	if q == nil || q.In[0].Elem != loop.I8 && q.In[0].Elem != loop.U8 {
		return 0, 0, false
	}
	lim, _ := op.Bounds(q.In[0].Elem)
	return zero, int64(lim[0]), true
}

// byteColumns are the bytes of a constant matrix that is dequantised with a scale for each column, and the scales; nil if v is not of that kind.
func byteColumns(v *ir.Value) (w, again *ir.Value, scales []float32) {
	v, moves := back(v, op.Transpose, op.Reshape)
	m := by(v, op.Mul)
	if m == nil {
		return nil, nil, nil
	}
	x, s := ir.Computed(m.In[0]), ir.Computed(m.In[1])
	if x == nil || s == nil || !ir.SameShape(m.In[0].Shape, m.Out[0].Shape) {
		return nil, nil, nil
	}
	ones := ir.NewTensor(loop.F32, x.Shape...)
	for i := range ir.Slice[float32](ones) {
		ir.Slice[float32](ones)[i] = 1
	}
	s = remade(m, ones, s)
	for i := len(moves) - 1; i >= 0 && x != nil && s != nil; i-- {
		x, s = remade(moves[i], x), remade(moves[i], s)
	}
	if x == nil || s == nil || len(x.Shape) != 2 {
		return nil, nil, nil
	}
	return split(x, s)
}

// remade is what a node makes of other inputs of the same shapes, or nil.
func remade(n *ir.Node, in ...*ir.Tensor) *ir.Tensor {
	out, err := n.Eval(nil, in)
	if err != nil {
		return nil
	}
	return out[0]
}

// split makes a ByteLinear's constants of whole numbers, if the scales are the same for all of a column.
func split(x, s *ir.Tensor) (w, again *ir.Value, scales []float32) {
	k, cols := int(x.Shape[0]), int(x.Shape[1])
	xs, ss := ir.Slice[float32](x), ir.Slice[float32](s)
	if k == 0 || cols == 0 {
		return nil, nil, nil
	}
	for i, v := range xs {
		if !isWhole(float64(v)) || v < -255 || v > 255 || ss[i] != ss[i%cols] {
			return nil, nil, nil
		}
	}
	w, again = op.Bytes(k, cols, func(r, c int) int64 { return int64(xs[r*cols+c]) })
	return w, again, append([]float32{}, ss[:cols]...)
}
