package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// RandomAttr: numbers of a normal distribution or uniform ones, from A (mean or low) and B (deviation or high); the same in every run.
type RandomAttr struct {
	Normal bool
	Seed   int64
	A, B   float32
	Shape  ir.DimList
}

// Random fills a tensor with numbers that follow from a seed alone, the same bits on every target. Normal ones are sums of twelve uniform
// ones: their tails end at six deviations.
var Random = ir.NewOp("random", "numbers that follow from a seed", RandomAttr{})

func init() {
	Random.Infer = func(n *ir.Node) error {
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, n.Attr.(RandomAttr).Shape.List()
		return nil
	}
	Random.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(RandomAttr)
		return ir.PlainCall{Func: "Random", Ints: []int64{b2i(a.Normal), a.Seed}, Floats: []float64{float64(a.A), float64(a.B)}}
	}
	Random.Run = plain.Random
	for name, normal := range map[string]bool{"RandomUniform": false, "RandomNormal": true} {
		ir.FromONNX("", name, 1, func(c *ir.Import) error {
			shape, _ := c.Ints("shape")
			for _, d := range shape {
				if d < 0 {
					return fmt.Errorf("shape %v", shape)
				}
			}
			return readRandom(c, normal, sym.Consts(shape...), loop.F32)
		})
		ir.FromONNX("", name+"Like", 1, func(c *ir.Import) error {
			v, err := c.Need(0)
			if err != nil {
				return err
			}
			return readRandom(c, normal, v.Shape, v.Elem)
		})
	}
	ir.FromONNX("", "Bernoulli", 15, readBernoulli)
}

// readRandom gives every node numbers of its own where the model sets no seed.
func readRandom(c *ir.Import, normal bool, shape []sym.Dim, elem loop.Elem) error {
	elem, err := elemAttr(c, elem)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	a := RandomAttr{Normal: normal, Seed: randomSeed(c), A: c.Float("low", 0), B: c.Float("high", 1), Shape: ir.MakeDims(shape)}
	if normal {
		a.A, a.B = c.Float("mean", 0), c.Float("scale", 1)
	}
	return b.done(b.cast(b.random(a), elem))
}

// random emits the node; it is never computed while compiling.
func (b *builder) random(a RandomAttr) *ir.Value {
	if b.err != nil {
		return nil
	}
	n, err := ir.NewNode(Random, a, []string{b.c.From})
	if b.err = err; err != nil {
		return nil
	}
	b.c.Graph.Nodes = append(b.c.Graph.Nodes, n)
	return n.Out[0]
}

func randomSeed(c *ir.Import) int64 {
	if s, ok := c.Attrs["seed"]; ok {
		return int64(math.Float32bits(s.F))
	}
	return int64(len(c.Graph.Nodes))
}

// readBernoulli is 1 with the probability that the input gives.
func readBernoulli(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	elem, err := elemAttr(c, x.Elem)
	if err != nil {
		return err
	}
	u := b.cast(b.random(RandomAttr{Seed: randomSeed(c), B: 1, Shape: ir.MakeDims(x.Shape)}), x.Elem)
	return b.done(b.cast(b.do(Less, nil, u, x), elem))
}
