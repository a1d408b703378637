package op

import (
	"errors"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// CumSumAttr: with Exclusive an element is not part of its own sum, with Reverse sums run from the end.
type CumSumAttr struct{ Exclusive, Reverse bool }

// CumSum is the running sum along the last axis.
var CumSum = ir.NewOp("cumsum", "running sum along the last axis", CumSumAttr{})

func init() {
	CumSum.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if v.Elem != loop.F32 && v.Elem != loop.I32 && v.Elem != loop.I64 || len(v.Shape) == 0 {
			return ir.NotSupported("CumSum of %v of rank %d", v.Elem, len(v.Shape))
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, v.Shape
		return nil
	}
	CumSum.Eval = func(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		out := ir.NewTensor(in[0].Elem, in[0].Shape...)
		a, width := n.Attr.(CumSumAttr), int(in[0].Shape[len(in[0].Shape)-1])
		for r := 0; r < in[0].Len(); r += width {
			cumsumRow(a, in[0], out, r, width)
		}
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "CumSum", 11, readCumSum)
}

func cumsumRow(a CumSumAttr, in, out *ir.Tensor, start, width int) {
	var sum loop.Scalar
	for i := range width {
		k := start + i
		if a.Reverse {
			k = start + width - 1 - i
		}
		next := in.At(k)
		next.F, next.I = float64(float32(next.F+sum.F)), next.I+sum.I
		if a.Exclusive {
			out.Set(k, sum)
		} else {
			out.Set(k, next)
		}
		sum = next
	}
}

func readCumSum(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, ok, err := c.ConstInts(1, "")
	if err != nil || !ok || len(axes) != 1 {
		return errors.Join(err, missing(ok && len(axes) == 1, "one axis"))
	}
	axis, err := axisOf(axes[0], len(v.Shape))
	if err != nil {
		return err
	}
	perm := swapped(len(v.Shape), axis, len(v.Shape)-1)
	if axis != len(v.Shape)-1 {
		if v, err = transpose(c, v, perm...); err != nil {
			return err
		}
	}
	a := CumSumAttr{c.Int("exclusive", 0) != 0, c.Int("reverse", 0) != 0}
	y, err := v, error(nil)
	if v.Elem == loop.F32 || v.Elem == loop.I32 || v.Elem == loop.I64 {
		y, err = c.Emit1(CumSum, a, v)
	} else {
		y, err = c.Emit1(CumSumOther, PlainAttr{Ints: ir.MakeInts(b2i(a.Exclusive), b2i(a.Reverse))}, v)
	}
	if err != nil || axis == len(v.Shape)-1 {
		return c.Return1(y, err)
	}
	return c.Return1(transpose(c, y, perm...))
}
