package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "Pad", 11, readPad) }

// readPad reads padding with a constant as concatenations with it.
func readPad(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	if mode := c.Str("mode", "constant"); mode != "constant" {
		return ir.NotSupported("Pad in mode %q", mode)
	}
	pads, ok, err := c.Dims(1, "")
	if err != nil || !ok {
		return errors.Join(err, missing(ok, "pads"))
	}
	axes, hasAxes, err := c.ConstInts(3, "")
	if err != nil {
		return err
	}
	if !hasAxes {
		for a := range v.Shape {
			axes = append(axes, int64(a))
		}
	}
	if len(pads) != 2*len(axes) {
		return fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	fill := c.Value(2)
	if fill == nil {
		fill = ir.Scalar(v.Elem, 0)
	}
	if fill, err = reshape(c, fill, nil); err != nil {
		return err
	}
	for i, axis := range axes {
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return err
		}
		if v, err = padAxis(c, v, fill, a, pads[i], pads[len(axes)+i]); err != nil {
			return err
		}
	}
	return c.Return1(v, nil)
}

func padAxis(c *ir.Import, v, fill *ir.Value, axis int, before, after sym.Dim) (*ir.Value, error) {
	parts := []*ir.Value{v}
	for i, n := range []sym.Dim{before, after} {
		lo, _ := n.Bounds()
		if n.Is(0) {
			continue
		}
		if lo < 0 {
			return nil, ir.NotSupported("Pad by a negative size")
		}
		shape := append([]sym.Dim{}, v.Shape...)
		shape[axis] = n
		p, err := expand(c, fill, shape)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			parts = append([]*ir.Value{p}, parts...)
		} else {
			parts = append(parts, p)
		}
	}
	if len(parts) == 1 {
		return v, nil
	}
	return c.Emit1(Concat, ConcatAttr{int64(axis)}, parts...)
}
