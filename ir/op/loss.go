package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "NegativeLogLikelihoodLoss", 12, func(c *ir.Import) error {
		b := &builder{c: c}
		x := b.need(0)
		return b.done(b.likelihood(x, b.need(1), c.Value(2)))
	})
	ir.FromONNX("", "SoftmaxCrossEntropyLoss", 12, readCrossEntropy)
}

// readCrossEntropy is the negative log likelihood of log softmax; the second output is the log softmax.
func readCrossEntropy(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	d := b.sub(x, b.reduce(x, "max", true, 1))
	logs := b.sub(d, b.do(Log, nil, b.reduce(b.do(Exp, nil, d), "sum", true, 1)))
	return b.done(b.likelihood(logs, b.need(1), c.Value(2)), logs)
}

// likelihood picks -x[n, target] along axis 1, weighted by class, and reduces it. Targets equal to ignore_index weigh nothing.
func (b *builder) likelihood(x, target, weight *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	if len(x.Shape) < 2 || len(target.Shape) != len(x.Shape)-1 {
		b.err = fmt.Errorf("targets of rank %d for rank %d", len(target.Shape), len(x.Shape))
		return nil
	}
	shape := target.Shape
	t := b.cast(target, loop.I64)
	ignore, hasIgnore := b.c.Attrs["ignore_index"]
	var skip *ir.Value
	if hasIgnore {
		skip = b.do(Equal, nil, t, b.like(t, float64(ignore.I)))
		t = b.do(Where, nil, skip, b.like(t, 0), t)
	}
	wide := dims(shape[0], 1, []sym.Dim(shape[1:]))
	loss := b.do(Neg, nil, b.reshape(b.do(GatherElements, GatherElementsAttr{1}, x, b.reshape(t, wide)), shape))
	w := b.expand(b.like(x, 1), shape)
	if weight != nil {
		w = b.do(Gather, GatherAttr{0}, weight, t)
	}
	if hasIgnore {
		w = b.do(Where, nil, skip, b.like(x, 0), w)
	}
	loss = b.mul(loss, w)
	if b.err != nil {
		return nil
	}
	var axes []int64
	for a := range shape {
		axes = append(axes, int64(a))
	}
	switch how := b.c.Str("reduction", "mean"); how {
	case "none":
		return loss
	case "sum":
		return b.reduce(loss, "sum", false, axes...)
	case "mean":
		return b.div(b.reduce(loss, "sum", false, axes...), b.reduce(w, "sum", false, axes...))
	default:
		b.err = fmt.Errorf("reduction %.40q", how)
		return nil
	}
}
