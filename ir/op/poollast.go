package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// PoolLast is Pool of an image with the channels last, [batch, height, width, channels].
var PoolLast = ir.NewOp("poollast", "greatest element or mean of windows, channels last", PoolAttr{})

func init() {
	PoolLast.Infer = func(n *ir.Node) error {
		v, a := n.In[0], n.Attr.(PoolAttr)
		if v.Elem != loop.F32 || len(v.Shape) != 4 || a.Ceil || !a.Max && !a.Sum && !a.CountPad && !NoPads(a.Pads) {
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
				if !a.Max && !a.Sum {
					y[c] /= count
				}
			}
		}, start)
	}
}

// NoPads reports whether nothing lies around an image.
func NoPads(l ir.IntList) bool {
	for _, p := range l.List() {
		if p != 0 {
			return false
		}
	}
	return true
}
