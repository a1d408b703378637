package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// MaxPoolAttr describes the windows; with Columns the indices count the last axis slowest.
type MaxPoolAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList
	Ceil, Columns                    bool
}

func (a MaxPoolAttr) windows() PoolAttr {
	return PoolAttr{Kernel: a.Kernel, Strides: a.Strides, Dilations: a.Dilations, Pads: a.Pads, Ceil: a.Ceil}
}

// MaxPool is the greatest element of each window, and its place in the whole input as an i64.
var MaxPool = ir.NewOp("maxpool", "greatest element of windows, and its index", MaxPoolAttr{})

func init() {
	MaxPool.NumOut = 2
	MaxPool.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if v.Elem != loop.F32 || len(v.Shape) < 3 {
			return ir.NotSupported("pooling of %v of rank %d", v.Elem, len(v.Shape))
		}
		win, err := PoolWindows(v.Shape[2:], n.Attr.(MaxPoolAttr).windows())
		shape := dims(v.Shape[:2], win)
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, shape
		n.Out[1].Elem, n.Out[1].Shape = loop.I64, shape
		return err
	}
	MaxPool.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(MaxPoolAttr)
		list := []int64{int64(len(a.Kernel.List()))}
		for _, l := range []ir.IntList{a.Kernel, a.Strides, a.Dilations, a.Pads} {
			list = append(list, l.List()...)
		}
		columns := int64(0)
		if a.Columns {
			columns = 1
		}
		return ir.PlainCall{Func: "MaxPool", Ints: append(list, columns)}
	}
	MaxPool.Run = plain.MaxPool
	ir.FromONNX("", "MaxUnpool", 9, readMaxUnpool)
	ir.FromONNX("", "LpPool", 1, readLpPool)
	ir.FromONNX("", "GlobalLpPool", 1, readGlobalLpPool)
}

// readMaxUnpool scatters into zeros.
func readMaxUnpool(c *ir.Import) error {
	b := &builder{c: c}
	x, idx := b.need(0), b.need(1)
	kernel, ok := c.Ints("kernel_shape")
	if b.err != nil || !ok || len(x.Shape) != len(kernel)+2 {
		return errors.Join(b.err, missing(ok, "kernel_shape"))
	}
	shape, given, err := c.Dims(2, "")
	if err != nil {
		return err
	}
	a, err := windowAttr(c, x.Shape[2:], kernel)
	if err != nil {
		return err
	}
	if !given {
		shape = dims(x.Shape[:2])
		for i, d := range x.Shape[2:] {
			pads := a.Pads.List()
			room := kernel[i] - pads[i] - pads[len(kernel)+i]
			shape = append(shape, d.Sub(sym.Const(1)).Mul(sym.Const(a.Strides.List()[i])).Add(sym.Const(room)))
		}
	}
	n := sym.Product(x.Shape)
	zeros := b.expand(b.like(x, 0), dims(sym.Product(shape)))
	y := b.do(ScatterElements, ScatterAttr{}, zeros, b.reshape(idx, dims(n)), b.reshape(x, dims(n)))
	return b.done(b.reshape(y, shape))
}

// readLpPool is the mean of |x|^p times the window's size, to the power 1/p.
func readLpPool(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	kernel, ok := c.Ints("kernel_shape")
	if b.err != nil || !ok || len(x.Shape) != len(kernel)+2 {
		return errors.Join(b.err, missing(ok, "kernel_shape"))
	}
	w, err := windowAttr(c, x.Shape[2:], kernel)
	if err != nil {
		return err
	}
	for _, d := range w.Dilations.List() {
		if d != 1 && len(kernel) > 3 {
			return ir.NotSupported("LpPool over %d axes", len(kernel))
		}
	}
	a := PoolAttr{Kernel: w.Kernel, Strides: w.Strides, Dilations: w.Dilations, Pads: w.Pads, CountPad: true, Ceil: c.Int("ceil_mode", 0) != 0}
	if a.Ceil {
		return ir.NotSupported("LpPool that rounds up")
	}
	p := float64(c.Int("p", 2))
	mean := b.do(Pool, a, b.power(b.do(Abs, nil, x), p))
	return b.done(b.power(b.mul(mean, b.like(x, float64(ir.NumElements(kernel)))), 1/p))
}

func readGlobalLpPool(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil || len(x.Shape) < 3 {
		return errors.Join(b.err, fmt.Errorf("rank %d", len(x.Shape)))
	}
	var axes []int64
	for a := 2; a < len(x.Shape); a++ {
		axes = append(axes, int64(a))
	}
	p := float64(c.Int("p", 2))
	return b.done(b.power(b.reduce(b.power(b.do(Abs, nil, x), p), "sum", true, axes...), 1/p))
}

func (b *builder) power(v *ir.Value, p float64) *ir.Value {
	if p == 1 {
		return v
	}
	return b.do(Pow, nil, v, b.like(v, p))
}
