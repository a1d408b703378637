package passes

import (
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Whole drops casts to integers and back of numbers that are whole and within the integers' bounds, as quantisation leaves them: what is
// stored in eight bits between two operators stays f32, and a kernel that quantises is one of f32 alone. And it drops what quantises again,
// with the same scale and zero point, what has only been moved since it was dequantised.
var Whole = Rewrite("whole", "drops casts to integers and back of whole numbers, and their being quantised again",
	Rule{Root: func() *ir.Op { return op.Cast }, Try: castBack}, Rule{Root: func() *ir.Op { return op.Clamp }, Try: quantisedAgain})

// castBack replaces f32(int(x)) by x, or by x + 0 where x may be -0, which no integer is.
func castBack(_ *Context, n *ir.Node) *ir.Patch {
	to := by(n.In[0], op.Cast)
	if n.Attr.(op.CastAttr).To != loop.F32 || to == nil || to.In[0].Elem != loop.F32 {
		return nil
	}
	k := by(from(to.In[0]), op.Clamp)
	lim, ok := op.Bounds(n.In[0].Elem)
	if k == nil || !ok || !whole(k.In[0], maxChain) {
		return nil
	}
	a := k.Attr.(op.ClampAttr)
	lo, hi := float64(a.Lo), float64(a.Hi)
	if lo < lim[0] || hi > lim[1] || lo > hi || !isWhole(lo) || !isWhole(hi) {
		return nil
	}
	p := ir.NewPatch(n)
	x := to.In[0]
	if lo <= 0 && hi >= 0 && (lo != 0 || hi == 0) && !positiveZero(k.In[0]) {
		x = p.Emit1(op.Add, nil, x, ir.Scalar(loop.F32, 0))
	}
	return p.Replace(n.Out[0], x)
}

// quantisedAgain replaces clamp(round(y / s) + z) by the whole numbers q between the same bounds that y is (q - z) s of, but for moves. In f32
// (q - z) s / s is within a part in a million of q - z, which is at most nine bits.
func quantisedAgain(_ *Context, n *ir.Node) *ir.Patch {
	y, s, z := quantises(n)
	if y == nil {
		return nil
	}
	q, t, moves := dequantised(y, op.Transpose, op.Reshape, op.Slice)
	if q == nil || t != s {
		return nil
	}
	if z != 0 {
		sub := by(q, op.Sub)
		if sub == nil {
			return nil
		}
		if t, ok := number(sub.In[1]); !ok || t != z {
			return nil
		}
		q = sub.In[0]
	}
	a := n.Attr.(op.ClampAttr)
	if !between(q, float64(a.Lo), float64(a.Hi), z != 0) {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], moved(p, q, moves))
}

// quantises reads clamp(round(y / s) + z) with constants s and z, s far from where products with bytes overflow or lose bits.
func quantises(n *ir.Node) (y *ir.Value, s, z float64) {
	x := n.In[0]
	if add := by(x, op.Add); add != nil {
		zero, ok := number(add.In[1])
		if !ok || !isWhole(zero) || math.Abs(zero) > 255 {
			return nil, 0, 0
		}
		x, z = add.In[0], zero
	}
	r := by(x, op.Round)
	if r == nil {
		return nil, 0, 0
	}
	d := by(r.In[0], op.Div)
	if d == nil {
		return nil, 0, 0
	}
	s, ok := number(d.In[1])
	if !ok || s < 1e-30 || s > 1e30 {
		return nil, 0, 0
	}
	return d.In[0], s, z
}

// between reports whether v holds whole numbers from lo to hi, which are bytes, and, if that matters, no -0.
func between(v *ir.Value, lo, hi float64, positive bool) bool {
	if hi-lo > 255 {
		return false
	}
	if c := by(from(v), op.Cast); c != nil {
		lim, ok := op.Bounds(c.In[0].Elem)
		return ok && lim[0] >= lo && lim[1] <= hi
	}
	k := by(from(v), op.Clamp)
	if k == nil || !whole(k.In[0], maxChain) || positive && !positiveZero(k.In[0]) {
		return false
	}
	a := k.Attr.(op.ClampAttr)
	return float64(a.Lo) >= lo && float64(a.Hi) <= hi && isWhole(float64(a.Lo)) && isWhole(float64(a.Hi))
}

// positiveZero reports whether v is a sum with a number other than zero: where that is 0, it is +0.
func positiveZero(v *ir.Value) bool {
	n := by(v, op.Add)
	if n == nil {
		return false
	}
	k, ok := scalar(n.In[1])
	return ok && k != 0
}

// whole reports whether an f32 value holds whole numbers, infinities and NaN alone; most is how many operators to look at.
func whole(v *ir.Value, most int) bool {
	n := v.Def
	switch {
	case v.Const != nil:
		for i := range v.Const.Len() {
			if s := v.Const.At(i); !isWhole(s.F) {
				return false
			}
		}
		return true
	case n == nil || most == 0:
		return false
	case n.Op == op.Round || n.Op == op.Floor || n.Op == op.Ceil:
		return true
	case n.Op == op.Cast:
		return n.In[0].Elem.Integer()
	case n.Op == op.Add || n.Op == op.Sub || n.Op == op.Max || n.Op == op.Min:
		return whole(n.In[0], most-1) && whole(n.In[1], most-1)
	case n.Op == op.Neg:
		return whole(n.In[0], most-1)
	case n.Op == op.Clamp:
		a := n.Attr.(op.ClampAttr)
		return isWhole(float64(a.Lo)) && isWhole(float64(a.Hi)) && whole(n.In[0], most-1)
	}
	return false
}

func isWhole(x float64) bool { return x == float64(int64(x)) }
