package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "DepthToSpace", 1, readDepthToSpace)
	ir.FromONNX("", "SpaceToDepth", 1, readSpaceToDepth)
}

// readDepthToSpace moves channels into blocks of the image: DCR takes the block from the channels' slow end, CRD from the fast one.
func readDepthToSpace(c *ir.Import) error {
	b := &builder{c: c}
	x, k := b.blocks()
	if b.err != nil {
		return b.err
	}
	n, h, w := x.Shape[0], x.Shape[2], x.Shape[3]
	d, ok := x.Shape[1].Div(sym.Const(k * k))
	if !ok {
		return fmt.Errorf("%v channels for blocks of %d", x.Shape[1], k)
	}
	shape, perm := dims(n, k, k, d, h, w), []int64{0, 3, 4, 1, 5, 2}
	if c.Str("mode", "DCR") == "CRD" {
		shape, perm = dims(n, d, k, k, h, w), []int64{0, 1, 4, 2, 5, 3}
	}
	y := b.transpose(b.reshape(x, shape), perm...)
	return b.done(b.reshape(y, dims(n, d, h.Mul(sym.Const(k)), w.Mul(sym.Const(k)))))
}

func readSpaceToDepth(c *ir.Import) error {
	b := &builder{c: c}
	x, k := b.blocks()
	if b.err != nil {
		return b.err
	}
	h, ok1 := x.Shape[2].Div(sym.Const(k))
	w, ok2 := x.Shape[3].Div(sym.Const(k))
	if !ok1 || !ok2 {
		return fmt.Errorf("an image of %v by %v in blocks of %d", x.Shape[2], x.Shape[3], k)
	}
	y := b.transpose(b.reshape(x, dims(x.Shape[0], x.Shape[1], h, k, w, k)), 0, 3, 5, 1, 2, 4)
	return b.done(b.reshape(y, dims(x.Shape[0], x.Shape[1].Mul(sym.Const(k*k)), h, w)))
}

// blocks are the image and the size of a block.
func (b *builder) blocks() (*ir.Value, int64) {
	x, k := b.need(0), b.c.Int("blocksize", 0)
	if b.err == nil && (len(x.Shape) != 4 || k < 1 || k > 1<<15) {
		b.err = fmt.Errorf("blocks of %d for rank %d", k, len(x.Shape))
	}
	return x, k
}
