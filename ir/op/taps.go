package op

import (
	"math"

	"mmc/ir"
	"mmc/ir/loop"
)

// Taps describes the walk kernel of some places of a window, the walk being along a line of windows. Kind is dot (places and weights in
// turns), max or sum. First begins the result, otherwise it goes on from what is there; Last ends it: with a bias, divided by Divisor if
// that is not 0, and an activation.
type Taps struct {
	Kind        string
	Places      int
	First, Last bool
	Bias        bool
	Divisor     float32
	Act         LinearAttr
}

// Kernel is the walk kernel: the places, each followed by its weights, the bias, the result.
func (t Taps) Kernel() *loop.Kernel {
	b := loop.NewBuilder("taps_" + t.Kind)
	var x, w []int
	for range t.Places {
		x = append(x, b.Buffer(loop.Buf{Elem: loop.F32, Walk: true}))
		if t.Kind == "dot" {
			w = append(w, b.Buffer(loop.Buf{Elem: loop.F32}))
		}
	}
	pb := 0
	if t.Last && t.Bias {
		pb = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true, Walk: true})
	b.Loop(func() {
		v := b.F(0)
		if t.Kind == "max" {
			v = b.F(float32(math.Inf(-1)))
		}
		if !t.First {
			v = b.Load(y)
		}
		for i := range x {
			switch t.Kind {
			case "dot":
				v = b.FMA(b.Load(x[i]), b.Load(w[i]), v)
			case "max":
				v = b.Do(loop.Max, b.Load(x[i]), v)
			default:
				v = b.Add(v, b.Load(x[i]))
			}
		}
		if t.Last {
			v = t.end(b, v, pb)
		}
		b.Store(y, v)
	})
	return b.Kernel()
}

func (t Taps) end(b *loop.Builder, v loop.Val, bias int) loop.Val {
	if t.Bias {
		v = b.Add(v, b.Load(bias))
	}
	if t.Divisor != 0 {
		v = b.Div(v, b.F(t.Divisor))
	}
	if o, attr := t.Act.Activation(); o != nil {
		v = o.Elem(b, &ir.Node{Op: o, Attr: attr}, []loop.Val{v})
	}
	return v
}

// ScaleKernel is y = x by: a row kernel or, with by the same at all places, a walk kernel.
func ScaleKernel(walk bool) *loop.Kernel {
	b := loop.NewBuilder("scale")
	x, by := b.Buffer(loop.Buf{Elem: loop.F32, Walk: walk}), b.Buffer(loop.Buf{Elem: loop.F32})
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true, Walk: walk})
	b.Loop(func() { b.Store(y, b.Mul(b.Load(x), b.Load(by))) })
	return b.Kernel()
}
