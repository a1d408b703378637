package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Patches lays the windows of an image with the channels last out as rows: x [batch, spatial…, channels] becomes
// [batch, windows…, kernel*channels], with zeros where a window leaves the image. A Linear of it does not make the rows in memory.
var Patches = ir.NewOp("patches", "the windows of an image with the channels last as rows", Im2ColAttr{})

// DepthwiseAttr describes the windows, and the activation as LinearAttr does.
type DepthwiseAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList
	Act                              string
	Tanh                             bool
	Alpha, Lo, Hi                    float32
}

// Windows are the windows alone, Epilogue the activation.
func (a DepthwiseAttr) Windows() Im2ColAttr {
	return Im2ColAttr{a.Kernel, a.Strides, a.Dilations, a.Pads}
}
func (a DepthwiseAttr) Epilogue() LinearAttr {
	return LinearAttr{Act: a.Act, Tanh: a.Tanh, Alpha: a.Alpha, Lo: a.Lo, Hi: a.Hi}
}

// With is a with another activation.
func (a DepthwiseAttr) With(l LinearAttr) DepthwiseAttr {
	a.Act, a.Tanh, a.Alpha, a.Lo, a.Hi = l.Act, l.Tanh, l.Alpha, l.Lo, l.Hi
	return a
}

// Depthwise is a convolution of every channel with weights of its own: x [batch, height, width, channels], weights [taps, channels],
// bias [channels] or nil. A result is one chain of fused multiply-adds over the taps in order, from zero, plus the bias, and the activation.
var Depthwise = ir.NewOp("depthwise", "a convolution of every channel by itself", DepthwiseAttr{})

// DepthwiseMeans is Depthwise, and the means of the lines of its result, [batch, height, 1, channels]: sums over the places in order,
// divided by their number, which is what PoolLast gives for windows of a line.
var DepthwiseMeans = ir.NewOp("depthwise_means", "a convolution of every channel by itself, and the means of the result's lines", DepthwiseAttr{})

// PoolLast is Pool of an image with the channels last, [batch, height, width, channels].
var PoolLast = ir.NewOp("poollast", "greatest element or mean of windows, channels last", PoolAttr{})

func init() {
	Patches.Infer = func(n *ir.Node) error {
		v, a := n.In[0], n.Attr.(Im2ColAttr)
		last := len(v.Shape) - 1
		if v.Elem != loop.F32 || last < 2 {
			return ir.NotSupported("a convolution of %v of rank %d", v.Elem, last+1)
		}
		win, err := Windows(v.Shape[1:last], a)
		if err != nil {
			return err
		}
		cols := v.Shape[last].Mul(sym.Const(ir.NumElements(a.Kernel.List())))
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[0], win, cols)
		return nil
	}
	Patches.Eval = evalPatches
}

func init() {
	Depthwise.Infer = func(n *ir.Node) error {
		v, w := n.In[0], n.In[1]
		a := n.Attr.(DepthwiseAttr).Windows()
		if len(n.In) != 3 || v.Elem != loop.F32 || w.Elem != loop.F32 || len(v.Shape) != 4 || len(w.Shape) != 2 || !w.Shape[0].Is(ir.NumElements(a.Kernel.List())) {
			return fmt.Errorf("an image of rank %d and weights %v", len(v.Shape), w.Shape)
		}
		for _, d := range []*ir.Value{w, n.In[2]} {
			if d == nil {
				continue
			}
			if err := ir.Equal(d.Shape[len(d.Shape)-1], v.Shape[3]); err != nil {
				return err
			}
		}
		win, err := Windows(v.Shape[1:3], a)
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[0], win, v.Shape[3])
		return err
	}
	Depthwise.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		w, bias := ir.Slice[float32](in[1]), []float32(nil)
		if in[2] != nil {
			bias = ir.Slice[float32](in[2])
		}
		channels := int(in[0].Shape[3])
		act := EpilogueKernel(n.Attr.(DepthwiseAttr).Epilogue(), false, false)
		return eachWindow(n, b, in[0], n.Attr.(DepthwiseAttr).Windows(), func(y, x []float32, tap int) {
			for c := range y {
				v := float32(0)
				if x != nil {
					v = x[c]
				}
				y[c] = loop.FMA32(v, w[tap*channels+c], y[c])
			}
		}, func(y []float32, _ int) {
			for c := range bias {
				y[c] += bias[c]
			}
			if err := act.Run(len(y), row(y), row(y)); err != nil {
				panic(err) // two buffers for a kernel of two
			}
		}, 0)
	}
}

func init() {
	DepthwiseMeans.NumOut = 2
	DepthwiseMeans.Infer = func(n *ir.Node) error {
		if err := Depthwise.Infer(n); err != nil {
			return err
		}
		s := n.Out[0].Shape
		n.Out[1].Elem, n.Out[1].Shape = n.Out[0].Elem, dims(s[0], s[1:2], sym.Const(1), s[3])
		return nil
	}
	DepthwiseMeans.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		out, err := Depthwise.Eval(n, b, in)
		if err != nil {
			return nil, err
		}
		return append(out, lineMeans(out[0])), nil
	}
}

// lineMeans are the means of an image's lines.
func lineMeans(image *ir.Tensor) *ir.Tensor {
	s, x := image.Shape, ir.Slice[float32](image)
	out := ir.NewTensor(loop.F32, s[0], s[1], 1, s[3])
	for i, y := range ir.Slice[float32](out) {
		line, c := int64(i)/s[3], int64(i)%s[3]
		for p := range s[2] {
			y += x[(line*s[2]+p)*s[3]+c]
		}
		ir.Slice[float32](out)[i] = y / float32(s[2])
	}
	return out
}

func init() {
	PoolLast.Infer = func(n *ir.Node) error {
		v, a := n.In[0], n.Attr.(PoolAttr)
		if v.Elem != loop.F32 || len(v.Shape) != 4 || a.Ceil || !a.Max && !a.CountPad && !noPads(a.Pads) {
			return fmt.Errorf("pooling %v of %v of rank %d", a, v.Elem, len(v.Shape))
		}
		win, err := Windows(v.Shape[1:3], Im2ColAttr{a.Kernel, a.Strides, a.Dilations, a.Pads})
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[0], win, v.Shape[3])
		return err
	}
	PoolLast.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		a := n.Attr.(PoolAttr)
		count := float32(ir.NumElements(a.Kernel.List()))
		start := float32(0)
		if a.Max {
			start = float32(math.Inf(-1))
		}
		return eachWindow(n, b, in[0], Im2ColAttr{a.Kernel, a.Strides, a.Dilations, a.Pads}, func(y, x []float32, _ int) {
			for c := range y {
				v := start
				if x != nil {
					v = x[c]
				}
				if !a.Max {
					y[c] += v
				} else if v > y[c] {
					y[c] = v
				}
			}
		}, func(y []float32, _ int) {
			for c := range y {
				if !a.Max {
					y[c] /= count
				}
			}
		}, start)
	}
}

func noPads(l ir.IntList) bool {
	for _, p := range l.List() {
		if p != 0 {
			return false
		}
	}
	return true
}

// Taps describes the walk kernel of some places of a window, the walk being along a line of windows. Kind is dot (places and weights in turns), max or sum. First begins the
// result, otherwise it goes on from what is there; Last ends it: with a bias, divided by Divisor if that is not 0, and an activation.
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

func evalPatches(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(loop.F32, shape...)
	channels := in[0].Shape[len(in[0].Shape)-1]
	y, at := ir.Slice[float32](out), int64(0)
	windowPlaces(n.Attr.(Im2ColAttr), in[0].Shape, shape[1:len(shape)-1], func(_, place int64, inside bool, _ int) {
		if inside {
			copy(y[at:at+channels], ir.Slice[float32](in[0])[place*channels:])
		}
		at += channels
	})
	return []*ir.Tensor{out}, nil
}

// windowPlaces calls f for every place of every window of an image [batch, spatial…, channels], in order: the window's number, the place
// in the image, whether it is inside, and its number in the window.
func windowPlaces(a Im2ColAttr, image, win []int64, f func(window, place int64, inside bool, tap int)) {
	k, s, d, p := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	spatial := image[1 : len(image)-1]
	window := int64(0)
	for batch := range image[0] {
		forEach(win, func(w []int64) {
			tap := 0
			forEach(k, func(o []int64) {
				place, inside := batch, true
				for i := range o {
					pos := w[i]*s[i] - p[i] + o[i]*d[i]
					inside = inside && pos >= 0 && pos < spatial[i]
					place = place*spatial[i] + pos
				}
				f(window, place, inside, tap)
				tap++
			})
			window++
		})
	}
}

// eachWindow combines the places of windows channel by channel: y begins as start, takes x of every place, nil outside, and is ended.
func eachWindow(n *ir.Node, b sym.Binding, in *ir.Tensor, a Im2ColAttr, take func(y, x []float32, tap int), end func(y []float32, tap int), start float32) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(loop.F32, shape...)
	x, y, c := ir.Slice[float32](in), ir.Slice[float32](out), in.Shape[3]
	for i := range y {
		y[i] = start
	}
	taps := int(ir.NumElements(a.Kernel.List()))
	windowPlaces(a, in.Shape, shape[1:3], func(window, place int64, inside bool, tap int) {
		row := y[window*c : (window+1)*c]
		var from []float32
		if inside {
			from = x[place*c : (place+1)*c]
		}
		take(row, from, tap)
		if tap == taps-1 {
			end(row, tap)
		}
	})
	return []*ir.Tensor{out}, nil
}

// ScaleKernel is y = x by: a row kernel or, with by the same at all places, a walk kernel.
func ScaleKernel(walk bool) *loop.Kernel {
	b := loop.NewBuilder("scale")
	x, by := b.Buffer(loop.Buf{Elem: loop.F32, Walk: walk}), b.Buffer(loop.Buf{Elem: loop.F32})
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true, Walk: walk})
	b.Loop(func() { b.Store(y, b.Mul(b.Load(x), b.Load(by))) })
	return b.Kernel()
}
