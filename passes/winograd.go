package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// Winograd makes convolutions of 3 by 3 places, one apart, with 16 products for 4 results in place of 36, where what that adds, the
// sums before and after and the larger weights, costs less.
var Winograd = Rewrite("winograd", "makes convolutions of 3 x 3 places with fewer products",
	Rule{"winograd", func() *ir.Op { return op.Linear }, winograd})

// Sums cost as much as about winogradChannels channels of products save: they grow with channels plus columns, products with their product;
// weights beyond winogradWeights bytes do not stay in a core's
// cache from one group of tiles to the next; of fewer than winogradPlaces results too many tiles reach over the edge.
const (
	winogradChannels = 48
	winogradWeights  = 5 << 20
	winogradPlaces   = 12 * 12
)

func winograd(c *Context, n *ir.Node) *ir.Patch {
	rows := by(n.In[0], op.Patches)
	if rows == nil || c.Only(n.In[0]) != n || len(rows.In[0].Shape) != 4 {
		return nil
	}
	a, attr, w := rows.Attr.(op.Im2ColAttr), n.Attr.(op.LinearAttr), n.In[1].Const
	if a.Kernel != ir.MakeInts(3, 3) || a.Strides != ir.MakeInts(1, 1) || a.Dilations != ir.MakeInts(1, 1) {
		return nil
	}
	channels, cols := w.Shape[0]/9, w.Shape[1]
	if mean := 2 * channels * cols / (channels + cols); mean < winogradChannels {
		return c.Miss(n, "winograd", "%d channels to %d, their harmonic mean less than %d", channels, cols, winogradChannels)
	}
	if size := 16 * channels * cols * 4; size > winogradWeights {
		return c.Miss(n, "winograd", "the weights would take %d bytes", size)
	}
	out := n.Out[0].Shape
	h, ok1 := out[1].Const()
	v, ok2 := out[2].Const()
	if ok1 && ok2 && h*v < winogradPlaces {
		return c.Miss(n, "winograd", "%d by %d results are too few", h, v)
	}
	p := ir.NewPatch(n, rows)
	to := op.WinogradAttr{Pads: a.Pads, Act: attr.Act, Tanh: attr.Tanh, Alpha: attr.Alpha, Lo: attr.Lo, Hi: attr.Hi, Last: attr.Last}
	weights := ir.ConstValue(n.In[1].Name, op.WinogradWeights(w))
	return p.Replace(n.Out[0], p.Emit1(op.Winograd, to, rows.In[0], weights, n.In[2], n.In[3]))
}
