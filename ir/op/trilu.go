package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "Trilu", 14, readTrilu) }

// readTrilu keeps the upper or lower triangle of the last two axes by a comparison of row and column numbers.
func readTrilu(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	r := len(v.Shape)
	if r < 2 {
		return fmt.Errorf("rank %d", r)
	}
	k := []sym.Dim{sym.Const(0)}
	if ds, ok, err := c.Dims(1, ""); err != nil {
		return err
	} else if ok && len(ds) == 1 {
		k = ds
	}
	one := func(d sym.Dim) ir.DimList { return ir.MakeDims([]sym.Dim{d}) }
	rows, err := c.Emit1(Iota, IotaAttr{one(k[0]), one(sym.Const(1)), one(v.Shape[r-2]), loop.I64})
	if err != nil {
		return err
	}
	cols, err := c.Emit1(Iota, IotaAttr{one(sym.Const(0)), one(sym.Const(1)), one(v.Shape[r-1]), loop.I64})
	if err == nil {
		rows, err = reshape(c, rows, []sym.Dim{v.Shape[r-2], sym.Const(1)})
	}
	if err != nil {
		return err
	}
	keep := []*ir.Value{rows, cols}
	if c.Int("upper", 1) == 0 {
		keep = []*ir.Value{cols, rows}
	}
	mask, err := c.Emit1(LessOrEqual, nil, keep...)
	if err != nil {
		return err
	}
	return c.Return1(c.Emit1(Where, nil, mask, v, ir.Scalar(v.Elem, 0)))
}
