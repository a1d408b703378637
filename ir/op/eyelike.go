package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "EyeLike", 9, readEyeLike)
}

// readEyeLike has ones on diagonal k of a matrix of the input's shape.
func readEyeLike(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) != 2 {
		return fmt.Errorf("rank %d", len(x.Shape))
	}
	elem, err := elemAttr(c, x.Elem)
	if err != nil {
		return err
	}
	rows := b.iota(c.Int("k", 0), x.Shape[0])
	cols := b.iota(0, x.Shape[1])
	return b.done(b.cast(b.do(Equal, nil, b.reshape(rows, dims(x.Shape[0], 1)), cols), elem))
}

// elemAttr is the attribute dtype, or def.
func elemAttr(c *ir.Import, def loop.Elem) (loop.Elem, error) {
	if n := c.Int("dtype", 0); n != 0 {
		return ir.ElemFromONNX(n)
	}
	return def, nil
}

// iota is start, start+1, … of n elements.
func (b *builder) iota(start int64, n sym.Dim) *ir.Value {
	return b.counted(sym.Const(start), sym.Const(1), n)
}

// counted is start, start+step, … of n elements.
func (b *builder) counted(start, step, n sym.Dim) *ir.Value {
	one := func(d sym.Dim) ir.DimList { return ir.MakeDims([]sym.Dim{d}) }
	return b.do(Iota, IotaAttr{one(start), one(step), one(n), loop.I64})
}
