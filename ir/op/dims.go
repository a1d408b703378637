package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// DimsAttr holds the contents and their type; Scalar makes the result rank 0.
type DimsAttr struct {
	List   ir.DimList
	To     loop.Elem
	Scalar bool
}

// Dims is a vector (or scalar) of numbers computed from the input shapes: what is left of Shape and the arithmetic on it.
var Dims = ir.NewOp("dims", "numbers computed from the input shapes", DimsAttr{})

func init() {
	Dims.Infer = func(n *ir.Node) error {
		a, out := n.Attr.(DimsAttr), n.Out[0]
		out.Elem, out.Dims = a.To, a.List.List()
		out.Shape = sym.Consts(int64(len(out.Dims)))
		if a.Scalar {
			out.Shape = nil
		}
		return nil
	}
	Dims.Eval = func(n *ir.Node, b sym.Binding, _ []*ir.Tensor) ([]*ir.Tensor, error) {
		v, err := ir.EvalShape(n.Out[0].Dims, b)
		if err != nil {
			return nil, err
		}
		t := ir.NewTensor(n.Out[0].Elem, ir.ConstShape(n.Out[0].Shape)...)
		for i, x := range v {
			t.Set(i, loop.Scalar{I: x})
		}
		return []*ir.Tensor{t}, nil
	}
	ir.FromONNX("", "Shape", 1, readShape)
	ir.FromONNX("", "Size", 1, func(c *ir.Import) error {
		v, err := c.Need(0)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(Dims, DimsAttr{ir.MakeDims([]sym.Dim{sym.Product(v.Shape)}), loop.I64, true}))
	})
}

func readShape(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	rank := int64(len(v.Shape))
	clamp := func(x int64) int64 {
		if x < 0 {
			x += rank
		}
		return min(max(x, 0), rank)
	}
	lo, hi := clamp(c.Int("start", 0)), clamp(c.Int("end", rank))
	return c.Return(c.Emit(Dims, DimsAttr{List: ir.MakeDims(v.Shape[lo:max(lo, hi)]), To: loop.I64}))
}

// maxKnown is the most elements that are looked for one by one, and the most operators that are looked through for each.
const maxKnown = 64

// elementAt is element k of a vector as a size, where how the vector was made tells, and tells that there are so many.
func elementAt(v *ir.Value, k sym.Dim) (sym.Dim, bool) {
	for range maxKnown {
		below, _ := k.Bounds()
		above, _ := v.Shape[0].Sub(k).Bounds()
		if below < 0 || above < 1 {
			return sym.Dim{}, false
		}
		if all := v.Elements(); all != nil {
			i, ok := k.Const()
			if !ok {
				return sym.Dim{}, false
			}
			return all[i], true
		}
		if v.Def == nil {
			return sym.Dim{}, false
		}
		if a, ok := v.Def.Attr.(IotaAttr); ok {
			return a.Start.List()[0].Add(k.Mul(a.Step.List()[0])), true
		}
		if v, k = madeFrom(v.Def, k); v == nil {
			return sym.Dim{}, false
		}
	}
	return sym.Dim{}, false
}

// madeFrom is the vector of which an element is element k of a node's result, and which; nil if none is.
func madeFrom(n *ir.Node, k sym.Dim) (*ir.Value, sym.Dim) {
	switch a := n.Attr.(type) {
	case SliceAttr:
		return n.In[0], a.Starts.List()[0].Add(k.Mul(sym.Const(a.Steps.List()[0])))
	case CastAttr:
		v := n.In[0]
		if whole := v.Elem.Integer() || v.Elem == loop.F32; whole && (a.To == loop.I64 || a.To == loop.I32 || a.To == loop.F32) {
			return v, k
		}
	case ConcatAttr:
		for _, part := range n.In {
			if least, _ := part.Shape[0].Sub(k).Bounds(); least > 0 {
				return part, k
			}
			k = k.Sub(part.Shape[0])
			if least, _ := k.Bounds(); least < 0 {
				break
			}
		}
	}
	return nil, k
}
