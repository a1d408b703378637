package op

import (
	"errors"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "Tile", 6, readTile) }

// readTile repeats axes: each gets an axis of size 1 before it, which is expanded and joined with it.
func readTile(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	repeats, ok, err := c.Dims(1, "repeats")
	if err != nil || !ok || len(repeats) != len(v.Shape) {
		return errors.Join(err, missing(ok && len(repeats) == len(v.Shape), "a repeat for every axis"))
	}
	var apart, wide, joined []sym.Dim
	for i, d := range v.Shape {
		if repeats[i].Is(1) {
			apart, wide, joined = append(apart, d), append(wide, d), append(joined, d)
			continue
		}
		apart, wide, joined = append(apart, sym.Const(1), d), append(wide, repeats[i], d), append(joined, repeats[i].Mul(d))
	}
	x, err := reshape(c, v, apart)
	if err == nil {
		x, err = expand(c, x, wide)
	}
	if err != nil {
		return err
	}
	return c.Return1(reshape(c, x, joined))
}
