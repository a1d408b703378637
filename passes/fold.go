package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// foldLimit is the most elements of a constant that folding makes.
const foldLimit = 1 << 28

// Fold computes what does not depend on the inputs' contents: nodes whose inputs are all constant, and integer values whose
// contents are known as dims. What is repeated for a batch, of which an entry is taken again, is not repeated.
var Fold = Rewrite("fold", "computes constants and shape arithmetic", Rule{Try: fold},
	Rule{Root: func() *ir.Op { return op.Reshape }, Try: reshapeRepeated},
	Rule{Root: func() *ir.Op { return op.Gather }, Try: pickRepeated})

func fold(c *Context, n *ir.Node) *ir.Patch {
	if n.Op == op.Dims || n.Op == op.Expand && !worthExpanding(n) {
		return nil
	}
	p := ir.NewPatch(n)
	if out := ir.Fold(n, foldLimit); out != nil {
		for i, v := range out {
			p.Replace(n.Out[i], v)
		}
		return p
	}
	v := n.Out[0]
	if len(n.Out) > 1 || v.Dims == nil || v.Elem.Float() || len(v.Shape) > 1 {
		return nil
	}
	return p.Replace(v, p.Emit1(op.Dims, op.DimsAttr{List: ir.MakeDims(v.Dims), To: v.Elem, Scalar: len(v.Shape) == 0}))
}

// worthExpanding keeps a constant that is repeated many times small.
func worthExpanding(n *ir.Node) bool {
	for _, d := range n.Out[0].Shape {
		if k, ok := d.Const(); ok && k > 4096 {
			return false
		}
	}
	return true
}

// repeated is what v repeats along its first axis alone; nil if it does not.
func repeated(v *ir.Value) *ir.Value {
	e := by(v, op.Expand)
	if e == nil || len(v.Shape) == 0 || v.Shape[0].Is(1) {
		return nil
	}
	x := e.In[0]
	if len(x.Shape) != len(v.Shape) || !x.Shape[0].Is(1) || !ir.SameShape(x.Shape[1:], v.Shape[1:]) {
		return nil
	}
	return x
}

// reshapeRepeated reshapes what is repeated before it is.
func reshapeRepeated(_ *Context, n *ir.Node) *ir.Patch {
	x, to := repeated(n.In[0]), n.Out[0].Shape
	if x == nil || len(to) == 0 || to[0] != n.In[0].Shape[0] {
		return nil
	}
	p := ir.NewPatch(n)
	shape := append([]sym.Dim{sym.Const(1)}, to[1:]...)
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(shape)}, x)
	return p.Replace(n.Out[0], p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(to)}, y))
}

// pickRepeated takes the first of repeated entries where they are not repeated.
func pickRepeated(_ *Context, n *ir.Node) *ir.Patch {
	x, index := repeated(n.In[0]), n.In[1].Const
	if x == nil || index == nil || n.Attr.(op.GatherAttr).Axis != 0 || index.Len() != 1 || index.At(0).I != 0 {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, x))
}

// folded is the result of an operator of one output on constants; nil if there is none.
func folded(o *ir.Op, attr any, in ...*ir.Value) *ir.Value {
	if slices.Contains(in, nil) {
		return nil
	}
	n, err := ir.NewNode(o, attr, nil, in...)
	if err != nil {
		return nil
	}
	if out := ir.Fold(n, foldLimit); out != nil {
		return out[0]
	}
	return nil
}
