package passes

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// L2Norm recomposes the division of the last axis by its length, or by the least that it may be.
var L2Norm = Rewrite("l2norm", "recomposes the division by the length of the last axis", Rule{"l2norm", func() *ir.Op { return op.Div }, l2Norm})

// L2Norm2 moves transpositions that keep the last axis behind L2Norm, to readers that take them as strides. Windows has seen them by then.
var L2Norm2 = Rewrite("l2norm2", "moves transpositions behind divisions by the length", Rule{"", func() *ir.Op { return op.L2Norm }, transposedNorm})

func transposedNorm(_ *Context, n *ir.Node) *ir.Patch {
	t := by(n.In[0], op.Transpose)
	if t == nil {
		return nil
	}
	perm := t.Attr.(op.TransposeAttr).Perm.List()
	if last := len(perm) - 1; perm[last] != int64(last) {
		return nil
	}
	p := ir.NewPatch(n, t)
	return p.Replace(n.Out[0], p.Emit1(op.Transpose, t.Attr, p.Emit1(op.L2Norm, n.Attr, t.In[0])))
}

func l2Norm(c *Context, n *ir.Node) *ir.Patch {
	x, least := n.In[0], 0.0
	length := n.In[1]
	if e := by(length, op.Expand); e != nil {
		length = e.In[0]
	}
	length, least = atLeast(length)
	if r := by(length, op.Reshape); r != nil { // the axis that the sum has dropped
		length = r.In[0]
	}
	root := by(length, op.Sqrt)
	if root == nil {
		return nil
	}
	sum := root.In[0]
	if r := by(sum, op.Reshape); r != nil {
		sum = r.In[0]
	}
	r := by(sum, op.Reduce)
	if r == nil || len(x.Shape) == 0 || !dividesLast(n.In[1].Shape, x.Shape) || !ir.SameShape(n.Out[0].Shape, x.Shape) {
		return nil
	}
	of := r.In[0]
	switch r.Attr.(op.ReduceAttr).Kind {
	case "sum":
		if !isSquare(of, x) {
			return nil
		}
	case "sumsq":
		if of != x {
			return nil
		}
	default:
		return nil
	}
	if !ir.SameShape(of.Shape, x.Shape) {
		return nil
	}
	p := ir.NewPatch(n, r)
	return p.Replace(n.Out[0], p.Emit1(op.L2Norm, op.L2NormAttr{Least: float32(least)}, x))
}

// dividesLast reports whether a divisor is one number for each row of x, or the same expanded.
func dividesLast(divisor, x []sym.Dim) bool {
	last := len(x) - 1
	return len(divisor) == len(x) && ir.SameShape(divisor[:last], x[:last]) && (divisor[last].Is(1) || divisor[last] == x[last])
}

// atLeast is x and k if v is max(x, k).
func atLeast(v *ir.Value) (x *ir.Value, k float64) {
	if m := by(v, op.Max); m != nil {
		for _, o := range operands(m) {
			if k, ok := scalar(o[1]); ok {
				return o[0], k
			}
		}
	}
	return v, 0
}
