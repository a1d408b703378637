package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Patches lays the windows of an image with the channels last out as rows: x [batch, spatial…, channels] becomes
// [batch, windows…, kernel*channels], with zeros where a window leaves the image. A Linear of it does not make the rows in memory.
var Patches = ir.NewOp("patches", "the windows of an image with the channels last as rows", Im2ColAttr{})

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
