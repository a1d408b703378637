package op

import (
	"mmc/ir"
)

// What ONNX Runtime's quantiser makes of its optimiser's Attention and EmbedLayerNormalization.
func init() {
	ir.FromONNX("com.microsoft", "QAttention", 1, readQAttention)
	ir.FromONNX("com.microsoft", "QEmbedLayerNormalization", 1, readQEmbedNorm)
}

// readQAttention: input and weights of 8 bits, bias, scale of the input, scale of the weights, one or one a column, mask, zero points of both,
// past.
func readQAttention(c *ir.Import) error {
	b := &builder{c: c}
	x, w := b.need(0), b.need(1)
	scale := b.mul(b.single(b.need(3)), b.single(b.need(4)))
	heads := c.Int("num_heads", 0)
	if b.err != nil {
		return b.err
	}
	if heads < 1 || len(x.Shape) != 3 || len(w.Shape) != 2 || c.Int("do_rotary", 0) != 0 {
		return ir.NotSupported("QAttention with %d heads, an input of rank %d, or a rotation", heads, len(x.Shape))
	}
	y := b.do(MatMul, nil, b.centred(x, b.single(c.Value(6))), b.centred(w, b.single(c.Value(7))))
	const absent = -1
	return b.packed(b.mul(y, scale), w.Shape[1], heads, packedInputs{bias: 2, mask: 5, past: 8, scores: absent})
}

// readQEmbedNorm is EmbedLayerNormalization with tables, gamma and beta of 8 bits, inputs 2 to 6; their scales are inputs 8 to 12, their
// zero points 13 to 17.
func readQEmbedNorm(c *ir.Import) error {
	b := &builder{c: c}
	in := append([]*ir.Value{}, c.Inputs...)
	for i := 2; i < 7 && i < len(in); i++ {
		if in[i] != nil {
			in[i] = b.dequantised(in[i], b.single(b.need(i+6)), b.single(c.Value(i+11)))
		}
	}
	if b.err != nil {
		return b.err
	}
	c.Inputs = in[:min(8, len(in))]
	return readEmbedNorm(c)
}
