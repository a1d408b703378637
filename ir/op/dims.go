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
