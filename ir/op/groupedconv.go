package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// GroupedConv is a convolution of groups of channels: x [batch, spatial…, channels], weights [taps*channels/groups, outputs], bias [outputs]
// or nil. An output channel sees the input channels of its group alone. A result is one chain of fused multiply-adds over the taps in order
// and the channels of each, from zero, plus the bias, and the activation.
var GroupedConv = ir.NewOp("groupedconv", "a convolution of groups of channels", DepthwiseAttr{})

func init() {
	GroupedConv.Infer = func(n *ir.Node) error {
		v, w, a := n.In[0], n.In[1], n.Attr.(DepthwiseAttr)
		last := len(v.Shape) - 1
		if len(n.In) != 3 || v.Elem != loop.F32 || w.Elem != loop.F32 || last < 2 || last > 4 || len(w.Shape) != 2 {
			return ir.NotSupported("a convolution of groups of %v of rank %d", v.Elem, last+1)
		}
		taps := sym.Const(ir.NumElements(a.Kernel.List()))
		if err := ir.Equal(w.Shape[0].Mul(sym.Const(a.Groups)), v.Shape[last].Mul(taps)); err != nil {
			return fmt.Errorf("channels: %w", err)
		}
		outputs, ok := w.Shape[1].Const()
		if !ok || a.Groups < 1 || outputs%a.Groups != 0 {
			return fmt.Errorf("%d groups for %v output channels", a.Groups, w.Shape[1])
		}
		if n.In[2] != nil {
			if err := ir.Equal(n.In[2].Shape[len(n.In[2].Shape)-1], w.Shape[1]); err != nil {
				return err
			}
		}
		win, err := Windows(v.Shape[1:last], a.Windows())
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[0], win, w.Shape[1])
		return err
	}
	GroupedConv.Eval = evalGroupedConv
}

func evalGroupedConv(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	a, out := n.Attr.(DepthwiseAttr), ir.NewTensor(loop.F32, shape...)
	x, w, y := ir.Slice[float32](in[0]), ir.Slice[float32](in[1]), ir.Slice[float32](out)
	last := len(shape) - 1
	channels, outputs := in[0].Shape[last], shape[last]
	each, width := channels/a.Groups, outputs/a.Groups
	windowPlaces(a.Windows(), in[0].Shape, shape[1:last], func(window, place int64, inside bool, tap int) {
		for o := range outputs {
			v := &y[window*outputs+o]
			for c := range each {
				pixel := float32(0)
				if inside {
					pixel = x[place*channels+o/width*each+c]
				}
				*v = loop.FMA32(pixel, w[(int64(tap)*each+c)*outputs+o], *v)
			}
		}
	})
	if in[2] != nil {
		for i, v := range ir.Slice[float32](in[2]) {
			for at := i; at < len(y); at += int(outputs) {
				y[at] += v
			}
		}
	}
	return []*ir.Tensor{out}, EpilogueKernel(a.Epilogue(), false, false).Run(len(y), row(y), row(y))
}

// fewOutputs is how many output channels of a group are a panel of their own: several groups of fewer are read as one, with zeros for the
// channels of the others.
const fewOutputs = 16

// groupedConv is the convolution of groups of x's channels, which are last. w is [outputs, channels of a group, kernel…], constant.
func (b *builder) groupedConv(x, w *ir.Value, a Im2ColAttr, groups int64) *ir.Value {
	shape := ir.ConstShape(w.Shape)
	width, each, taps := shape[0]/groups, shape[1], ir.NumElements(shape[2:])
	many := int64(1)
	for m := many; m <= groups && m*width <= fewOutputs; m++ {
		if groups%m == 0 {
			many = m
		}
	}
	if many == groups { // all of them are one
		rows := x
		if !oneByOne(a) {
			rows = b.do(Patches, a, x)
		}
		return b.do(MatMul, nil, rows, b.groupWeights(w, 1, many, width, each, taps))
	}
	attr := DepthwiseAttr{Kernel: a.Kernel, Strides: a.Strides, Dilations: a.Dilations, Pads: a.Pads, Groups: groups / many}
	return b.do(GroupedConv, attr, x, b.groupWeights(w, groups/many, many, width, each, taps), nil)
}

// groupWeights are the weights of groups, of each of which the model has so many, as a matrix: rows are taps, then channels.
func (b *builder) groupWeights(w *ir.Value, groups, many, width, each, taps int64) *ir.Value {
	v := b.transpose(b.reshape(w, dims(groups*many*width, each, taps)), 2, 1, 0)
	if many > 1 {
		own := make([]float32, many*many)
		for i := range many {
			own[i*many+i] = 1
		}
		v = b.reshape(v, dims(taps, 1, each, groups, many, width))
		v = b.do(Mul, nil, v, ir.ConstValue("", ir.Floats(own, 1, many, 1, 1, many, 1)))
	}
	return b.reshape(v, dims(taps*many*each, groups*many*width))
}

// maxSlice is the most elements that the windows of a line see of a group's channels where it is a convolution of groups: they are copied.
const maxSlice = 1 << 22

// slicesFit reports whether a window with what is between its places, of so many channels, is of a size that can be copied.
func slicesFit(a Im2ColAttr, channels int64) bool {
	size := channels
	for i, k := range a.Kernel.List() {
		reach := (k-1)*a.Dilations.List()[i] + 1
		if i == len(a.Kernel.List())-3 {
			reach = k // of planes only those of the window are copied
		}
		if size > maxSlice/reach {
			return false
		}
		size *= reach
	}
	return true
}
