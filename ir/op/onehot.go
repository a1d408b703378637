package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// OneHot is read as a comparison of the indices with 0, 1, … depth-1 along a new axis, and a choice between the two values; an index
// outside is equal to none.
func init() {
	ir.FromONNX("", "OneHot", 9, readOneHot)
}

func readOneHot(c *ir.Import) error {
	in, err := c.NeedAll(3)
	if err != nil {
		return err
	}
	depthOf := integral(in[1])
	if depthOf == nil {
		return ir.UnknownContents(in[1], "a depth that depends on data")
	}
	if len(in[2].Shape) != 1 || in[2].Shape[0].Same(sym.Const(2)) == sym.False {
		return fmt.Errorf("values of shape %v, want two", in[2].Shape)
	}
	depth := []sym.Dim{*depthOf}
	if _, most := depth[0].Bounds(); most < 1 {
		return fmt.Errorf("a depth of %v", depth[0])
	}
	axis, err := axisOf(c.Int("axis", -1), len(in[0].Shape)+1)
	if err != nil {
		return err
	}
	index, err := countFromEnd(c, in[0], depth[0])
	if err != nil {
		return err
	}
	wide := append(append(append([]sym.Dim{}, index.Shape[:axis]...), sym.Const(1)), index.Shape[axis:]...)
	if index, err = reshape(c, index, wide); err != nil {
		return err
	}
	count, err := c.Emit1(Iota, IotaAttr{ir.MakeDims(sym.Consts(0)), ir.MakeDims(sym.Consts(1)), ir.MakeDims(depth), loop.I64})
	if err != nil {
		return err
	}
	along := sym.Consts(make([]int64, len(wide))...)
	for i := range along {
		along[i] = sym.Const(1)
	}
	along[axis] = depth[0]
	if count, err = reshape(c, count, along); err != nil {
		return err
	}
	hit, err := c.Emit1(Equal, nil, index, count)
	if err != nil {
		return err
	}
	var value [2]*ir.Value
	for i := range value {
		part, err := c.Emit1(Slice, alongAxis(in[2].Shape, 0, sym.Const(int64(i)), sym.Const(1), 1), in[2])
		if err == nil {
			value[i], err = reshape(c, part, nil)
		}
		if err != nil {
			return err
		}
	}
	return c.Return(c.Emit(Where, nil, hit, value[1], value[0]))
}

// countFromEnd makes indices i64 and those that are negative count from the end of an axis.
func countFromEnd(c *ir.Import, index *ir.Value, size sym.Dim) (*ir.Value, error) {
	v, err := c.Emit1(Cast, CastAttr{To: loop.I64}, index)
	if err != nil {
		return nil, err
	}
	n, err := c.Emit1(Dims, DimsAttr{List: ir.MakeDims([]sym.Dim{size}), To: loop.I64, Scalar: true})
	if err != nil {
		return nil, err
	}
	negative, err := c.Emit1(Less, nil, v, ir.Scalar(loop.I64, 0))
	if err != nil {
		return nil, err
	}
	from, err := c.Emit1(Add, nil, v, n)
	if err != nil {
		return nil, err
	}
	return c.Emit1(Where, nil, negative, from, v)
}
