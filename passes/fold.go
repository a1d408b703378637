package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/op"
)

// foldLimit is the most elements of a constant that folding makes.
const foldLimit = 1 << 28

// Fold computes what does not depend on the inputs' contents: nodes whose inputs are all constant, and integer values whose
// contents are known as dims.
var Fold = Rewrite("fold", "computes constants and shape arithmetic", Rule{Try: fold})

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
