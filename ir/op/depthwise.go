package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// DepthwiseAttr describes the windows, and the activation as LinearAttr does. Groups is that of a GroupedConv.
type DepthwiseAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList
	Groups                           int64
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

// depthwise is the convolution of each of x's channels, which are second, with weights [outputs, 1, kernel…] of its own: one output or
// several of each. The result has the channels last; one spatial axis is a line of an image.
func (b *builder) depthwise(x, w, bias *ir.Value, a Im2ColAttr) *ir.Value {
	r, shape := len(x.Shape)-2, ir.ConstShape(w.Shape)
	weights := b.transpose(b.reshape(w, dims(shape[0], ir.NumElements(shape[2:]))), 1, 0)
	v := b.transpose(x, channelsLast(r)...)
	if many, ok := w.Shape[0].Div(x.Shape[1]); b.err == nil && ok && !many.Is(1) {
		image := v.Shape[:len(v.Shape)-1]
		v = b.expand(b.reshape(v, dims(image, x.Shape[1], 1)), dims(image, x.Shape[1], many))
		v = b.reshape(v, dims(image, w.Shape[0]))
	}
	if b.err != nil {
		return nil
	}
	if r == 1 {
		v = b.reshape(v, dims(v.Shape[0], 1, v.Shape[1:]))
		line := func(first int64, l ir.IntList) ir.IntList { return ir.MakeInts(first, l.List()[0]) }
		pads := a.Pads.List()
		a = Im2ColAttr{line(1, a.Kernel), line(1, a.Strides), line(1, a.Dilations), ir.MakeInts(0, pads[0], 0, pads[1])}
	}
	y := b.do(Depthwise, DepthwiseAttr{Kernel: a.Kernel, Strides: a.Strides, Dilations: a.Dilations, Pads: a.Pads}, v, weights, nil)
	if bias != nil {
		y = b.add(y, bias)
	}
	if r == 1 && b.err == nil {
		y = b.reshape(y, dims(y.Shape[0], y.Shape[2:]))
	}
	return y
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
