package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// RotaryEmbedding (opset 23; Su et al., 2021) is read as slices, products and a concatenation: of the first rotary_embedding_dim elements
// of every head, halves (or, interleaved, neighbours) x and y become x cos - y sin and x sin + y cos.
func init() {
	ir.FromONNX("", "RotaryEmbedding", 23, readRotary)
	ir.FromONNX("com.microsoft", "RotaryEmbedding", 1, readRotaryMicrosoft)
}

func readRotary(c *ir.Import) error {
	b := &builder{c: c}
	x, cos, sin := b.need(0), b.need(1), b.need(2)
	if b.err != nil {
		return b.err
	}
	if ids := c.Value(3); ids != nil {
		cos, sin = b.do(Gather, GatherAttr{}, cos, ids), b.do(Gather, GatherAttr{}, sin, ids)
	}
	return b.done(b.rotated(x, cos, sin, c.Int("num_heads", 0)))
}

// readRotaryMicrosoft has the places before the angles; a single place is that of the first row.
func readRotaryMicrosoft(c *ir.Import) error {
	b := &builder{c: c}
	x, ids, cos, sin := b.need(0), b.need(1), b.need(2), b.need(3)
	if b.err != nil {
		return b.err
	}
	batch, rows := x.Shape[0], x.Shape[1]
	if len(x.Shape) == 4 {
		rows = x.Shape[2]
	}
	if len(ids.Shape) == 1 {
		ids = b.expand(b.add(b.reshape(b.iota(0, rows), dims(1, rows)), b.reshape(b.cast(ids, loop.I64), dims(1, 1))), dims(batch, rows))
	}
	cos, sin = b.do(Gather, GatherAttr{}, cos, ids), b.do(Gather, GatherAttr{}, sin, ids)
	heads := c.Int("num_heads", 0)
	if b.err == nil && heads == 0 && len(x.Shape) == 3 {
		n, ok := x.Shape[2].Div(cos.Shape[2].Mul(sym.Const(2)))
		if heads, _ = n.Const(); !ok || c.Int("rotary_embedding_dim", 0) != 0 {
			return fmt.Errorf("the number of heads is not given")
		}
	}
	return b.done(b.rotated(x, cos, sin, heads))
}

// rotated turns x [batch, rows, heads*size] or [batch, heads, rows, size] as the node's attributes say.
func (b *builder) rotated(x, cos, sin *ir.Value, heads int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	shape, headAxis := x.Shape, 1
	if len(shape) == 3 {
		size, ok := shape[2].Div(sym.Const(max(heads, 1)))
		if heads < 1 || !ok {
			return b.fail(fmt.Errorf("%d heads of %v elements", heads, shape[2]))
		}
		x, headAxis = b.reshape(x, dims(shape[:2], heads, size)), 2
	}
	if b.err != nil || len(x.Shape) != 4 {
		return b.fail(fmt.Errorf("an input of rank %d", len(shape)))
	}
	y := b.rotate(x, cos, sin, headAxis, b.c.Int("rotary_embedding_dim", 0), b.c.Int("interleaved", 0) != 0)
	return b.reshape(y, shape)
}

// rotate works on x [batch, …, size] of rank 4 whose heads are headAxis; cos and sin are [batch, sequence, half]. Of each head the first
// turned elements are rotated, all if that is 0.
func (b *builder) rotate(x, cos, sin *ir.Value, headAxis int, turned int64, interleaved bool) *ir.Value {
	if b.err != nil {
		return nil
	}
	size, ok := x.Shape[3].Const()
	if !ok || len(cos.Shape) != 3 {
		return b.fail(ir.NotSupported("RotaryEmbedding of heads of size %v with angles of rank %d", x.Shape[3], len(cos.Shape)))
	}
	if turned == 0 {
		turned = size
	}
	if turned < 2 || turned > size || turned%2 != 0 {
		return b.fail(fmt.Errorf("%d of %d elements are to be rotated", turned, size))
	}
	half := turned / 2
	wide := dims(cos.Shape[:headAxis], 1, cos.Shape[headAxis:])
	cos, sin = b.reshape(cos, wide), b.reshape(sin, wide)
	start, step := half, int64(1)
	if interleaved {
		start, step = 1, 2
	}
	p, q := b.part(x, 0, half, step), b.part(x, start, half, step)
	re := b.sub(b.mul(p, cos), b.mul(q, sin))
	im := b.add(b.mul(p, sin), b.mul(q, cos))
	var parts []*ir.Value
	if interleaved {
		pair := dims(x.Shape[:3], half, 1)
		both := b.concat(4, b.reshape(re, pair), b.reshape(im, pair))
		parts = append(parts, b.reshape(both, dims(x.Shape[:3], turned)))
	} else {
		parts = append(parts, re, im)
	}
	if turned < size {
		parts = append(parts, b.part(x, turned, size-turned, 1))
	}
	return b.concat(3, parts...)
}
