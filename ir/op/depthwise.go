package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

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
