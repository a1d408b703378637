package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("", "CausalConvWithState", 27, readCausalConv) }

// readCausalConv reads a depthwise convolution over the past and the present of x [batch, channels, length] (opset 27): the last k-1
// places of a stream are its state, which is zeros at first, and the second result.
func readCausalConv(c *ir.Import) error {
	b := &builder{c: c}
	x, w, bias, past := b.need(0), b.need(1), c.Value(2), c.Value(3)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) != 3 || len(w.Shape) != 3 {
		return fmt.Errorf("an input of shape %v and weights of shape %v, want three axes each", x.Shape, w.Shape)
	}
	channels, known := w.Shape[0].Const()
	kernel, fixed := w.Shape[2].Const()
	if !known || !fixed || kernel < 1 {
		return ir.NotSupported("CausalConvWithState with weights of shape %v", w.Shape)
	}
	all := x
	if kernel > 1 {
		state := dims(x.Shape[:2], kernel-1)
		if past == nil {
			past = b.expand(b.like(x, 0), state)
		}
		if !ir.SameShape(past.Shape, state) || past.Elem != x.Elem {
			return fmt.Errorf("a past of %v%v, want %v%v", past.Elem, past.Shape, x.Elem, state)
		}
		all = b.concat(2, past, x)
	}
	y := b.convolveChannels(b.cast(all, loop.F32), b.cast(w, loop.F32), channels)
	if bias != nil {
		y = b.add(y, b.reshape(b.cast(bias, loop.F32), dims(1, channels, 1)))
	}
	switch act := c.Str("activation", "none"); act {
	case "none":
	case "silu", "swish":
		y = b.do(Silu, SiluAttr{Alpha: 1}, y)
	default:
		return ir.NotSupported("the activation %.40q", act)
	}
	return b.done(b.cast(y, x.Elem), b.slice(all, 2, x.Shape[2], sym.Const(kernel-1)))
}

// convolveChannels is the convolution of each of x's channels with its own row of w, without padding.
func (b *builder) convolveChannels(x, w *ir.Value, channels int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	inner := *b.c
	inner.Attrs = map[string]ir.Attribute{"group": {I: channels}}
	y, err := convolve(&inner, x, w, nil)
	b.err = err
	return y
}
