package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// ClampAttr holds the bounds.
type ClampAttr struct{ Lo, Hi float32 }

// Clamp is min(max(x, lo), hi), elementwise.
var Clamp = ir.NewOp("clamp", "min(max(x, lo), hi), elementwise", ClampAttr{})

// HardSwish is x max(0, min(1, x/6 + 1/2)), elementwise (Howard et al., 2019).
var HardSwish = ir.NewOp("hardswish", "x max(0, min(1, x/6 + 1/2)), elementwise", nil)

func init() {
	Clamp.Infer = sameAsFirst
	Clamp.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		a := n.Attr.(ClampAttr)
		return b.Do(loop.Min, b.Do(loop.Max, in[0], b.F(a.Lo)), b.F(a.Hi))
	}
	unary(HardSwish, "HardSwish", func(b *loop.Builder, x loop.Val) loop.Val {
		h := b.Add(b.Mul(x, b.F(1.0/6)), b.F(0.5))
		return b.Mul(x, b.Do(loop.Max, b.F(0), b.Do(loop.Min, b.F(1), h)))
	})
	ir.FromONNX("", "Clip", 1, readClip)
}

// readClip reads max(lo, min(x, hi)); until opset 10 the bounds are attributes.
func readClip(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	lo, hi := c.Value(1), c.Value(2)
	if _, ok := c.Attrs["min"]; ok {
		lo = ir.Scalar(v.Elem, float64(c.Float("min", 0)))
	}
	if _, ok := c.Attrs["max"]; ok {
		hi = ir.Scalar(v.Elem, float64(c.Float("max", 0)))
	}
	if lo != nil {
		v, err = c.Emit1(Max, nil, v, lo)
	}
	if hi != nil && err == nil {
		v, err = c.Emit1(Min, nil, v, hi)
	}
	return c.Return1(v, err)
}
