package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "Pad", 1, readPad) }

// readPad reads padding as concatenations: with a constant, with the edge, or with what lies beside it (reflect, wrap). Negative pads
// take elements away.
func readPad(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	name := "pads"
	if c.Opset < 2 {
		name = "paddings"
	}
	pads, ok, err := c.Dims(1, name)
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
		fill = ir.Scalar(v.Elem, float64(c.Float("value", 0)))
	}
	b := &builder{c: c}
	p := padding{b, c.Str("mode", "constant"), b.reshape(fill, nil)}
	for i, axis := range axes {
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return err
		}
		if v = p.axis(v, a, pads[i], pads[len(axes)+i]); b.err != nil {
			return b.err
		}
	}
	return b.done(v)
}

// padding pads axes in one mode.
type padding struct {
	*builder
	mode string
	fill *ir.Value
}

func (p padding) axis(v *ir.Value, axis int, before, after sym.Dim) *ir.Value {
	if p.err != nil {
		return nil
	}
	v, before = p.cut(v, axis, before, true)
	v, after = p.cut(v, axis, after, false)
	return p.around(v, axis, before, after)
}

// around pads by sizes that are not negative.
func (p padding) around(v *ir.Value, axis int, before, after sym.Dim) *ir.Value {
	if p.err != nil {
		return nil
	}
	parts := []*ir.Value{v}
	if !before.Is(0) {
		parts = append([]*ir.Value{p.part(v, axis, before, true)}, parts...)
	}
	if !after.Is(0) {
		parts = append(parts, p.part(v, axis, after, false))
	}
	return p.concat(axis, parts...)
}

// cut takes a negative pad away.
func (p padding) cut(v *ir.Value, axis int, n sym.Dim, front bool) (*ir.Value, sym.Dim) {
	if p.err != nil {
		return nil, n
	}
	lo, hi := n.Bounds()
	switch {
	case lo >= 0:
		return v, n
	case hi > 0:
		p.err = ir.NotSupported("Pad by a size that may be negative")
		return nil, n
	}
	left := v.Shape[axis].Add(n)
	if front {
		return p.slice(v, axis, sym.Const(0).Sub(n), left), sym.Const(0)
	}
	return p.slice(v, axis, sym.Const(0), left), sym.Const(0)
}

// within reports whether a pad is at most what there is to take it from; where that depends on the sizes, the program checks it.
func (p padding) within(n, most sym.Dim) bool {
	truth := n.LessEq(most)
	if truth == sym.Unknown {
		p.c.Graph.Requires = append(p.c.Graph.Requires, ir.Require{Small: n, Large: most, Why: "the padding at " + p.c.From})
	}
	return truth != sym.False
}

// part is what stands on one side of v: n entries of the axis.
func (p padding) part(v *ir.Value, axis int, n sym.Dim, front bool) *ir.Value {
	if p.err != nil {
		return nil
	}
	size := v.Shape[axis]
	shape := append([]sym.Dim{}, v.Shape...)
	shape[axis] = n
	last := size.Sub(sym.Const(1))
	switch p.mode {
	case "constant":
		return p.expand(p.fill, shape)
	case "edge":
		at := sym.Const(0)
		if !front {
			at = last
		}
		return p.expand(p.slice(v, axis, at, sym.Const(1)), shape)
	case "wrap":
		if !p.within(n, size) {
			break
		}
		if front {
			return p.slice(v, axis, size.Sub(n), n)
		}
		return p.slice(v, axis, sym.Const(0), n)
	case "reflect":
		if !p.within(n, last) {
			break
		}
		from := n
		if !front {
			from = last.Sub(sym.Const(1))
		}
		return p.do(Slice, alongAxis(v.Shape, axis, from, n, -1), v)
	}
	p.err = ir.NotSupported("Pad in mode %.40q by %v of %v", p.mode, n, size)
	return nil
}
