package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// The normalisations that ONNX Runtime's optimiser writes: SkipLayerNormalization(input, skip, gamma, beta, bias) normalises
// input + skip + bias and may give the sum as output 3; the Simplified ones are RMS norms; EmbedLayerNormalization normalises the
// sum of a word's, a position's and a segment's embedding and may give how many tokens of each sequence count as output 1, the sum as
// output 2.
func init() {
	ir.FromONNX("com.microsoft", "SkipLayerNormalization", 1, func(c *ir.Import) error { return readSkipNorm(c, false, 4) })
	ir.FromONNX("com.microsoft", "SkipSimplifiedLayerNormalization", 1, func(c *ir.Import) error { return readSkipNorm(c, true, 3) })
	ir.FromONNX("com.microsoft", "SimplifiedLayerNormalization", 1, func(c *ir.Import) error { return readNorm(c, true) })
	ir.FromONNX("", "SimplifiedLayerNormalization", 1, func(c *ir.Import) error { return readNorm(c, true) })
	ir.FromONNX("com.microsoft", "EmbedLayerNormalization", 1, readEmbedNorm)
}

// readSkipNorm reads a norm of a sum; bias is the number of the input that holds one.
func readSkipNorm(c *ir.Import, rms bool, bias int) error {
	sum, err := c.Need(0)
	if err != nil {
		return err
	}
	terms := []*ir.Value{c.Value(1), c.Value(bias)}
	for _, v := range terms {
		if v == nil {
			continue
		}
		if sum, err = c.Emit1(Add, nil, sum, v); err != nil {
			return err
		}
	}
	in := []*ir.Value{sum}
	for i := 2; i < bias; i++ {
		if v := c.Value(i); v != nil {
			in = append(in, v)
		}
	}
	y, err := c.Emit1(LayerNorm, NormAttr{Eps: c.Float("epsilon", 1e-12), RMS: rms}, in...)
	return c.Return([]*ir.Value{y, nil, nil, sum}, err)
}

func readEmbedNorm(c *ir.Import) error {
	ids, err := c.Need(0)
	if err != nil {
		return err
	}
	if len(ids.Shape) != 2 {
		return ir.NotSupported("EmbedLayerNormalization of ids of rank %d", len(ids.Shape))
	}
	words, err := c.Need(2)
	if err != nil {
		return err
	}
	positions, err := c.Need(3)
	if err != nil {
		return err
	}
	if len(words.Shape) != 2 || len(positions.Shape) != 2 {
		return fmt.Errorf("tables of words %v and positions %v, want two axes", words.Shape, positions.Shape)
	}
	sum, err := c.Emit1(Gather, GatherAttr{}, words, ids)
	if err != nil {
		return err
	}
	if sum, err = addPositions(c, sum, positions, ids); err != nil {
		return err
	}
	if segments := c.Value(1); segments != nil && c.Value(4) != nil {
		s, err := c.Emit1(Gather, GatherAttr{}, c.Value(4), segments)
		if err != nil {
			return err
		}
		if sum, err = c.Emit1(Add, nil, sum, s); err != nil {
			return err
		}
	}
	in := []*ir.Value{sum}
	for i := 5; i < 7; i++ {
		if v := c.Value(i); v != nil {
			in = append(in, v)
		}
	}
	y, err := c.Emit1(LayerNorm, NormAttr{Eps: c.Float("epsilon", 1e-12)}, in...)
	if err != nil || c.NumOut < 2 {
		return c.Return1(y, err)
	}
	count, err := countTokens(c, ids.Shape[0])
	return c.Return([]*ir.Value{y, count, sum}, err)
}

// countTokens counts the ones of each row of the mask (input 7); without one the count is 0.
func countTokens(c *ir.Import, batch sym.Dim) (*ir.Value, error) {
	b := &builder{c: c}
	mask := c.Value(7)
	if mask == nil {
		zero := ir.ConstValue("", ir.NewTensor(loop.I32))
		return b.expand(zero, dims(batch)), b.err
	}
	one := b.cast(b.do(Equal, nil, mask, b.like(mask, 1)), loop.I32)
	return b.reduce(one, "sum", false, 1), b.err
}

// addPositions adds the embeddings of the given positions (input 8) or of 0, 1, 2, ….
func addPositions(c *ir.Import, sum, table, ids *ir.Value) (*ir.Value, error) {
	at := c.Value(8)
	if at == nil {
		var err error
		if table, err = c.Emit1(Slice, alongAxis(table.Shape, 0, sym.Const(0), ids.Shape[1], 1), table); err != nil {
			return nil, err
		}
		return c.Emit1(Add, nil, sum, table)
	}
	p, err := c.Emit1(Gather, GatherAttr{}, table, at)
	if err != nil {
		return nil, err
	}
	return c.Emit1(Add, nil, sum, p)
}
