package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// Whole drops casts to integers and back of numbers that are whole and within the integers' bounds, as quantisation leaves them: what is
// stored in eight bits between two operators stays f32, and a kernel that quantises is one of f32 alone.
var Whole = Rewrite("whole", "drops casts to integers and back of whole numbers", Rule{Root: func() *ir.Op { return op.Cast }, Try: castBack})

// castBack replaces f32(int(x)) by x, or by x + 0 where x may be -0, which no integer is.
func castBack(_ *Context, n *ir.Node) *ir.Patch {
	to := by(n.In[0], op.Cast)
	if n.Attr.(op.CastAttr).To != loop.F32 || to == nil || to.In[0].Elem != loop.F32 {
		return nil
	}
	k := by(to.In[0], op.Clamp)
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
	x := k.Out[0]
	if lo <= 0 && hi >= 0 && (lo != 0 || hi == 0) && !positiveZero(k.In[0]) {
		x = p.Emit1(op.Add, nil, x, ir.Scalar(loop.F32, 0))
	}
	return p.Replace(n.Out[0], x)
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
