package op

import (
	"errors"
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// Col2ImAttr describes windows as Im2ColAttr does, and the image they lie in.
type Col2ImAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList
	Image                            ir.DimList
}

// Col2Im adds windows into an image: x [batch, channels*kernel, windows] becomes [batch, channels, image…]; an element is the sum of
// what the windows that cover it hold there, in increasing order of the places in the window. It is the mirror of Im2Col.
var Col2Im = ir.NewOp("col2im", "adds windows into an image", Col2ImAttr{})

func init() {
	Col2Im.Infer = func(n *ir.Node) error {
		v, a := n.In[0], n.Attr.(Col2ImAttr)
		image := a.Image.List()
		if v.Elem != loop.F32 || len(v.Shape) != 3 || len(image) > 3 {
			return ir.NotSupported("Col2Im of %v of rank %d over %d axes", v.Elem, len(v.Shape), len(image))
		}
		win, err := Windows(image, Im2ColAttr{a.Kernel, a.Strides, a.Dilations, a.Pads})
		if err != nil {
			return err
		}
		channels, ok := v.Shape[1].Div(sym.Const(ir.NumElements(a.Kernel.List())))
		if !ok {
			return fmt.Errorf("%v columns for windows of %v", v.Shape[1], a.Kernel.List())
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[0], channels, image)
		return ir.Equal(sym.Product(win), v.Shape[2])
	}
	Col2Im.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(Col2ImAttr)
		list := []int64{int64(len(a.Kernel.List()))}
		for _, l := range []ir.IntList{a.Kernel, a.Strides, a.Dilations, a.Pads} {
			list = append(list, l.List()...)
		}
		return ir.PlainCall{Func: "Col2Im", Ints: list}
	}
	Col2Im.Run = plain.Col2Im
	ir.FromONNX("", "Col2Im", 18, readCol2Im)
	ir.FromONNX("", "ConvTranspose", 1, readConvTranspose)
}

func readCol2Im(c *ir.Import) error {
	x, err := c.Need(0)
	image, _, err1 := c.Dims(1, "")
	kernel, _, err2 := c.ConstInts(2, "")
	if err := errors.Join(err, err1, err2); err != nil {
		return err
	}
	a, err := windowAttr(c, image, kernel)
	if err != nil {
		return err
	}
	return c.Return(c.Emit(Col2Im, Col2ImAttr{a.Kernel, a.Strides, a.Dilations, a.Pads, ir.MakeDims(image)}, x))
}

// readConvTranspose is a convolution with steps of 1 or, where that does not do, a product of the weights with the input's columns, added into the
// result by Col2Im; groups are a batch axis.
func readConvTranspose(c *ir.Import) error {
	b := &builder{c: c}
	x, w := b.need(0), b.need(1)
	if b.err != nil {
		return b.err
	}
	r := len(x.Shape) - 2
	weights := ir.ConstShape(w.Shape)
	if r < 1 || len(weights) != r+2 || slices.Min(weights) < 1 {
		return fmt.Errorf("an input of rank %d and weights %v", len(x.Shape), w.Shape)
	}
	groups := c.Int("group", 1)
	if groups < 1 || weights[0]%groups != 0 {
		return fmt.Errorf("%d groups for %d channels", groups, weights[0])
	}
	image, a, err := transposedWindows(c, x.Shape[2:], weights[2:])
	if err != nil {
		return err
	}
	if fixed := settled(w); fixed != nil && subPixels(a, x.Shape[2:], image, groups) {
		return b.done(b.transposedBySubPixels(x, fixed, c.Value(2), a, image, groups))
	}
	g, batch := sym.Const(groups), x.Shape[0]
	in, outs := sym.Const(weights[0]/groups), sym.Const(weights[1])
	windows := sym.Product(x.Shape[2:])
	columns := b.reshape(x, dims(batch, g, in, windows))
	depth := outs.Mul(sym.Product(w.Shape[2:]))
	mat := b.transpose(b.reshape(w, dims(g, in, depth)), 0, 2, 1)
	cols := b.reshape(b.do(MatMul, nil, mat, columns), dims(batch, g.Mul(depth), windows))
	y := b.do(Col2Im, Col2ImAttr{a.Kernel, a.Strides, a.Dilations, a.Pads, ir.MakeDims(image)}, cols)
	if bias := c.Value(2); bias != nil && b.err == nil {
		y = b.add(y, b.reshape(bias, column(bias.Shape[0], r)))
	}
	return b.done(y)
}

// transposedWindows are the result's spatial sizes and the windows in it; what output_padding adds lies after the last window.
func transposedWindows(c *ir.Import, spatial []sym.Dim, kernel []int64) ([]sym.Dim, Im2ColAttr, error) {
	r := len(spatial)
	list := func(name string, n int, def int64) []int64 {
		if v, ok := c.Ints(name); ok && len(v) == n {
			return append([]int64{}, v...)
		}
		return slices.Repeat([]int64{def}, n)
	}
	strides, dilations, pads, extra := list("strides", r, 1), list("dilations", r, 1), list("pads", 2*r, 0), list("output_padding", r, 0)
	shape, hasShape := c.Ints("output_shape")
	auto := c.Str("auto_pad", "NOTSET")
	image := make([]sym.Dim, r)
	for i, d := range spatial {
		full := d.Sub(sym.Const(1)).Mul(sym.Const(strides[i])).Add(sym.Const(extra[i] + dilations[i]*(kernel[i]-1) + 1))
		want, fit := sym.Dim{}, hasShape && len(shape) >= r
		if fit {
			want = sym.Const(shape[len(shape)-r+i])
		} else if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			want, fit = d.Mul(sym.Const(strides[i])), true
		}
		if fit {
			total, ok := full.Sub(want).Const()
			if !ok {
				return nil, Im2ColAttr{}, ir.NotSupported("ConvTranspose to a shape that depends on the input's")
			}
			total = max(total, 0)
			pads[i], pads[r+i] = total/2, total-total/2
			if auto == "SAME_LOWER" {
				pads[i], pads[r+i] = total-total/2, total/2
			}
		}
		image[i] = full.Sub(sym.Const(pads[i] + pads[r+i]))
		pads[r+i] -= extra[i]
	}
	for i := range pads {
		pads[i] = max(pads[i], 0)
	}
	return image, Im2ColAttr{ir.MakeInts(kernel...), ir.MakeInts(strides...), ir.MakeInts(dilations...), ir.MakeInts(pads...)}, nil
}
