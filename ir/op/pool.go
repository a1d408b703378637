package op

import (
	"errors"
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// PoolAttr describes a pooling's windows as Im2ColAttr does. Max takes the greatest element, otherwise the mean; CountPad counts
// padding as elements of 0; Ceil keeps a last window that is not whole. Sum leaves the sum undivided (PoolLast alone).
type PoolAttr struct {
	Kernel, Strides, Dilations, Pads ir.IntList
	Max, CountPad, Ceil, Sum         bool
}

// Pool combines windows of the spatial axes of x [batch, channels, spatial…]: the greatest element, in increasing order from -Inf, or
// their sum in increasing order divided by their number.
var Pool = ir.NewOp("pool", "greatest element or mean of windows", PoolAttr{})

func init() {
	Pool.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if v.Elem != loop.F32 {
			return ir.NotSupported("pooling of %v", v.Elem)
		}
		win, err := PoolWindows(v.Shape[2:], n.Attr.(PoolAttr))
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, append(append([]sym.Dim{}, v.Shape[:2]...), win...)
		return err
	}
	Pool.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		out := ir.NewTensor(loop.F32, shape...)
		pool(n.Attr.(PoolAttr), in[0], out)
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "MaxPool", 1, func(c *ir.Import) error { return readPool(c, true) })
	ir.FromONNX("", "AveragePool", 1, func(c *ir.Import) error { return readPool(c, false) })
}

// PoolWindows is the number of windows along each spatial axis. With Ceil a last window that begins within the input or the padding
// before it counts though it is not whole.
func PoolWindows(spatial []sym.Dim, a PoolAttr) ([]sym.Dim, error) {
	win, err := Windows(spatial, Im2ColAttr{a.Kernel, a.Strides, a.Dilations, a.Pads})
	if err != nil || !a.Ceil {
		return win, err
	}
	k, s, d, p := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	for i := range win {
		if s[i] == 1 {
			continue
		}
		begins := spatial[i].Add(sym.Const(p[i]))
		room := begins.Add(sym.Const(p[len(win)+i] - d[i]*(k[i]-1) - 1))
		step := sym.Const(s[i])
		win[i] = room.CeilDiv(step).Add(sym.Const(1)).Min(begins.CeilDiv(step))
	}
	return win, nil
}

func pool(a PoolAttr, in, out *ir.Tensor) {
	x, y := ir.Slice[float32](in), ir.Slice[float32](out)
	k, s, d, p := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	spatial := in.Shape[2:]
	at := 0
	for c := range in.Shape[0] * in.Shape[1] {
		forEach(out.Shape[2:], func(w []int64) {
			best, sum, count := float32(math.Inf(-1)), float32(0), 0
			forEach(k, func(o []int64) {
				idx, inside, padded := c, true, true
				for i := range o {
					pos := w[i]*s[i] - p[i] + o[i]*d[i]
					inside = inside && pos >= 0 && pos < spatial[i]
					padded = padded && pos < spatial[i]+p[len(k)+i]
					idx = idx*spatial[i] + pos
				}
				if inside {
					if x[idx] > best {
						best = x[idx]
					}
					sum += x[idx]
				}
				if inside || padded && a.CountPad {
					count++
				}
			})
			if y[at] = best; !a.Max {
				y[at] = sum / float32(count)
			}
			at++
		})
	}
}

func readPool(c *ir.Import, greatest bool) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	kernel, ok := c.Ints("kernel_shape")
	if !ok || len(x.Shape) < 3 || len(kernel) != len(x.Shape)-2 {
		return errors.Join(missing(ok, "kernel_shape"), fmt.Errorf("a window of %d axes for an input of rank %d", len(kernel), len(x.Shape)))
	}
	if len(kernel) > 3 {
		return ir.NotSupported("pooling over %d axes", len(kernel))
	}
	padded := c
	if greatest && c.NumOut == 1 {
		if padded, x, err = samePadded(c, x, kernel, math.Inf(-1)); err != nil {
			return err
		}
	}
	w, err := windowAttr(padded, x.Shape[2:], kernel)
	if err != nil {
		return err
	}
	a := PoolAttr{Kernel: w.Kernel, Strides: w.Strides, Dilations: w.Dilations, Pads: w.Pads, Max: greatest,
		CountPad: c.Int("count_include_pad", 0) != 0, Ceil: c.Int("ceil_mode", 0) != 0}
	if c.NumOut > 1 {
		return c.Return(c.Emit(MaxPool, MaxPoolAttr{a.Kernel, a.Strides, a.Dilations, a.Pads, a.Ceil, c.Int("storage_order", 0) != 0}, x))
	}
	if x.Elem == loop.F32 {
		return c.Return(c.Emit(Pool, a, x))
	}
	b := &builder{c: c}
	return b.done(b.cast(b.do(Pool, a, b.cast(x, loop.F32)), x.Elem))
}
