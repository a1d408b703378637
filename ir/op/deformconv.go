package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// DeformPatchesAttr describes the windows of a deformable convolution of two axes as Im2ColAttr does. Windows is their number along each
// axis.
type DeformPatchesAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList

	Groups  int64
	Windows ir.DimList
}

// DeformPatches lays the windows of a deformable convolution out as rows (Dai et al., 2017; with a mask, Zhu et al., 2019): of x
// [batch, channels, height, width], offsets [batch, offset groups * kernel * 2, windows…] and a mask [batch, offset groups * kernel,
// windows…] or nil it makes [batch, groups, windows, channels/groups * kernel], sampled linearly, with zeros outside of x.
var DeformPatches = ir.NewOp("deformpatches", "the windows of a deformable convolution as rows", DeformPatchesAttr{})

func init() {
	DeformPatches.Run = plain.DeformPatches
	DeformPatches.Infer = func(n *ir.Node) error {
		a, x := n.Attr.(DeformPatchesAttr), n.In[0]
		taps := ir.NumElements(a.Kernel.List())
		width, ok := x.Shape[1].Div(sym.Const(a.Groups))
		if !ok {
			return fmt.Errorf("%d groups of %v channels", a.Groups, x.Shape[1])
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(x.Shape[0], a.Groups, sym.Product(a.Windows.List()), width.Mul(sym.Const(taps)))
		return nil
	}
	DeformPatches.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(DeformPatchesAttr)
		ints := []int64{}
		for _, l := range []ir.IntList{a.Kernel, a.Strides, a.Dilations} {
			ints = append(ints, l.List()...)
		}
		return ir.PlainCall{Func: "DeformPatches", Ints: append(ints, a.Pads.List()[:2]...)}
	}
	ir.FromONNX("", "DeformConv", 19, readDeformConv)
}

func readDeformConv(c *ir.Import) error {
	b := &builder{c: c}
	x, w, offsets, bias, mask := b.need(0), b.need(1), b.need(2), c.Value(3), c.Value(4)
	if b.err != nil {
		return b.err
	}
	if len(x.Shape) != 4 || len(w.Shape) != 4 || len(offsets.Shape) != 4 {
		return ir.NotSupported("DeformConv of %v by %v with offsets %v", x.Shape, w.Shape, offsets.Shape)
	}
	kernel := ir.ConstShape(w.Shape)
	groups, sets := c.Int("group", 1), c.Int("offset_group", 1)
	if min(kernel[0], kernel[1], kernel[2], kernel[3]) < 1 {
		return ir.NotSupported("DeformConv with weights of shape %v", w.Shape)
	}
	if groups < 1 || sets < 1 || kernel[0]%groups != 0 {
		return fmt.Errorf("%d groups and %d of offsets for %d output channels", groups, sets, kernel[0])
	}
	if _, ok := x.Shape[1].Div(sym.Const(sets)); !ok {
		return fmt.Errorf("%d groups of offsets for %v channels", sets, x.Shape[1])
	}
	if err := ir.Equal(x.Shape[1], sym.Const(kernel[1]*groups)); err != nil {
		return fmt.Errorf("channels: %w", err)
	}
	a, err := windowAttr(c, x.Shape[2:], kernel[2:])
	if err != nil {
		return err
	}
	win, err := Windows(x.Shape[2:], a)
	if err != nil {
		return err
	}
	taps := kernel[2] * kernel[3]
	in := []*ir.Value{b.cast(x, loop.F32), b.cast(offsets, loop.F32), nil}
	if want := dims(x.Shape[0], sets*taps*2, win); !ir.SameShape(offsets.Shape, want) {
		return fmt.Errorf("offsets of shape %v, want %v", offsets.Shape, want)
	}
	if mask != nil {
		if want := dims(x.Shape[0], sets*taps, win); !ir.SameShape(mask.Shape, want) {
			return fmt.Errorf("a mask of shape %v, want %v", mask.Shape, want)
		}
		in[2] = b.cast(mask, loop.F32)
	}
	rows := b.do(DeformPatches, DeformPatchesAttr{a.Kernel, a.Strides, a.Dilations, a.Pads, groups, ir.MakeDims(win)}, in...)
	outs := kernel[0] / groups
	wide := b.cast(w, loop.F32)
	var y *ir.Value
	if groups == 1 {
		rows = b.reshape(rows, dims(x.Shape[0], win, kernel[1]*taps))
		y = b.do(MatMul, nil, rows, b.transpose(b.reshape(wide, dims(outs, kernel[1]*taps)), 1, 0))
	} else {
		y = b.do(MatMul, nil, rows, b.transpose(b.reshape(wide, dims(groups, outs, kernel[1]*taps)), 0, 2, 1))
		y = b.reshape(b.transpose(y, 0, 2, 1, 3), dims(x.Shape[0], win, kernel[0]))
	}
	if bias != nil {
		y = b.add(y, b.cast(bias, loop.F32))
	}
	return b.done(b.cast(b.transpose(y, channelsSecond(2)...), x.Elem))
}
