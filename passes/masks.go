package passes

import (
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// What exporters do to probabilities after the softmax, so that rows of which nothing is shown give zeros.

// unguard looks through where(isnan(p), 0, p).
func unguard(v *ir.Value) (*ir.Value, bool) {
	w := by(v, op.Where)
	if w == nil {
		return v, false
	}
	nan := by(w.In[0], op.IsNaN)
	zero, ok := scalar(w.In[1])
	if nan == nil || !ok || zero != 0 || nan.In[0] != w.In[2] {
		return v, false
	}
	return w.In[2], true
}

// hiding is a mask that is put on probabilities.
type hiding struct {
	shown  *ir.Value // a condition
	before bool      // the scores are hidden by it too, by a number
}

// unhidden looks through where(shown, p, 0) for probabilities p whose scores are hidden by the same condition, and through probabilities
// p times a condition that are divided by their sum again, or 0 if the sum is.
func unhidden(v *ir.Value) (p *ir.Value, h *hiding) {
	w := by(v, op.Where)
	if w == nil {
		return v, nil
	}
	if zero, ok := scalar(w.In[2]); !ok || zero != 0 {
		return v, nil
	}
	if soft := by(w.In[1], op.Softmax); soft != nil {
		if inner := by(soft.In[0], op.Where); inner != nil && inner.In[0] == w.In[0] {
			return w.In[1], &hiding{w.In[0], true}
		}
		return v, nil
	}
	less, div := by(w.In[0], op.Less), by(w.In[1], op.Div)
	if less == nil || div == nil {
		return v, nil
	}
	zero, ok := scalar(less.In[0])
	if x, sum := div.In[0], less.In[1]; ok && zero == 0 && sumOf(sum) == x && isSafe(div.In[1], w.In[0], sum) {
		if mul := by(x, op.Mul); mul != nil {
			for _, o := range operands(mul) {
				if shown := by(o[1], op.Cast); shown != nil && shown.In[0].Elem == loop.Bool && by(o[0], op.Softmax) != nil {
					return o[0], &hiding{shown.In[0], false}
				}
			}
		}
	}
	return v, nil
}

// isSafe reports whether v is the sum, or 1 where that is 0.
func isSafe(v, positive, sum *ir.Value) bool {
	w := by(v, op.Where)
	if w == nil || w.In[0] != positive || w.In[1] != sum {
		return v == sum
	}
	one, ok := scalar(w.In[2])
	return ok && one == 1
}

// hidden takes scores apart that are hidden by h: whatever number is put in the place of some before the softmax, if it is far below all
// scores, a row of which nothing is shown gives zeros, as with a mask of -Inf and the guard.
func (c *Context) hidden(v *ir.Value, h *hiding) *scores {
	inner := v
	if h.before {
		w := by(v, op.Where)
		if low, ok := scalar(w.In[2]); !ok || low > -1e4 || !ir.SameShape(w.In[1].Shape, v.Shape) {
			return nil
		}
		inner = w.In[1]
	}
	s := c.scores(inner)
	if s == nil || len(s.masks) >= 3 {
		return nil
	}
	s.masks = append(s.masks, addend{h.shown, v.Shape, float32(math.Inf(-1)), true})
	return s
}
