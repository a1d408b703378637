package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

// RotaryEmbedding (opset 23; Su et al., 2021) is read as slices, products and a concatenation: of the first rotary_embedding_dim elements
// of every head, halves (or, interleaved, neighbours) x and y become x cos - y sin and x sin + y cos.
func init() {
	ir.FromONNX("", "RotaryEmbedding", 23, readRotary)
}

func readRotary(c *ir.Import) error {
	x, err1 := c.Need(0)
	cos, err2 := c.Need(1)
	sin, err3 := c.Need(2)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	shape, headAxis := x.Shape, 1
	if len(shape) == 3 {
		heads := c.Int("num_heads", 0)
		size, ok := shape[2].Div(sym.Const(max(heads, 1)))
		if heads < 1 || !ok {
			return fmt.Errorf("%d heads of %v elements", heads, shape[2])
		}
		var err error
		if x, err = reshape(c, x, []sym.Dim{shape[0], shape[1], sym.Const(heads), size}); err != nil {
			return err
		}
		headAxis = 2
	}
	if len(x.Shape) != 4 {
		return fmt.Errorf("an input of rank %d", len(shape))
	}
	if ids := c.Value(3); ids != nil {
		if cos, err1 = c.Emit1(Gather, GatherAttr{}, cos, ids); err1 == nil {
			sin, err1 = c.Emit1(Gather, GatherAttr{}, sin, ids)
		}
		if err1 != nil {
			return err1
		}
	}
	y, err := rotate(c, x, cos, sin, headAxis)
	if err != nil {
		return err
	}
	return c.Return1(reshape(c, y, shape))
}

// rotate works on x [batch, …, size] of rank 4 whose heads are headAxis; cos and sin are [batch, sequence, half].
func rotate(c *ir.Import, x, cos, sin *ir.Value, headAxis int) (*ir.Value, error) {
	size, ok := x.Shape[3].Const()
	if !ok || len(cos.Shape) != 3 {
		return nil, ir.NotSupported("RotaryEmbedding of heads of size %v with angles of rank %d", x.Shape[3], len(cos.Shape))
	}
	turned := c.Int("rotary_embedding_dim", 0)
	if turned == 0 {
		turned = size
	}
	if turned < 2 || turned > size || turned%2 != 0 {
		return nil, fmt.Errorf("%d of %d elements are to be rotated", turned, size)
	}
	half := turned / 2
	b := &builder{c: c}
	wide := append(append(append([]sym.Dim{}, cos.Shape[:headAxis]...), sym.Const(1)), cos.Shape[headAxis:]...)
	cos, sin = b.reshape(cos, wide), b.reshape(sin, wide)
	interleaved := c.Int("interleaved", 0) != 0
	start, step := half, int64(1)
	if interleaved {
		start, step = 1, 2
	}
	p, q := b.part(x, 0, half, step), b.part(x, start, half, step)
	re := b.do(Sub, nil, b.do(Mul, nil, p, cos), b.do(Mul, nil, q, sin))
	im := b.do(Add, nil, b.do(Mul, nil, p, sin), b.do(Mul, nil, q, cos))
	var parts []*ir.Value
	if interleaved {
		pair := append(append([]sym.Dim{}, x.Shape[:3]...), sym.Const(half), sym.Const(1))
		both := b.do(Concat, ConcatAttr{4}, b.reshape(re, pair), b.reshape(im, pair))
		parts = append(parts, b.reshape(both, append(append([]sym.Dim{}, x.Shape[:3]...), sym.Const(turned))))
	} else {
		parts = append(parts, re, im)
	}
	if turned < size {
		parts = append(parts, b.part(x, turned, size-turned, 1))
	}
	if len(parts) == 1 {
		return parts[0], b.err
	}
	return b.do(Concat, ConcatAttr{3}, parts...), b.err
}
