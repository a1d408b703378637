package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/runtime/plain"
)

// GridSampleAttr: Mode is 0 nearest, 1 linear, 2 cubic; Padding 0 zeros, 1 border, 2 reflection.
type GridSampleAttr struct {
	Mode, Padding int64
	Corners       bool
}

// GridSample samples x [batch, channels, spatial…] at the places that the grid [batch, out…, axes] names, -1 to 1 along each axis,
// the last axis first (ONNX GridSample, opset 20).
var GridSample = ir.NewOp("gridsample", "samples at places given by a grid", GridSampleAttr{})

func init() {
	GridSample.Infer = func(n *ir.Node) error {
		x, grid, a := n.In[0], n.In[1], n.Attr.(GridSampleAttr)
		r := len(x.Shape) - 2
		if x.Elem != loop.F32 || grid.Elem != loop.F32 || r < 2 || r > 3 || len(grid.Shape) != r+2 || !grid.Shape[r+1].Is(int64(r)) || a.Mode == 2 && r != 2 {
			return ir.NotSupported("GridSample of %v%v by %v%v", x.Elem, x.Shape, grid.Elem, grid.Shape)
		}
		n.Out[0].Elem, n.Out[0].Shape = x.Elem, dims(x.Shape[:2], grid.Shape[1:r+1])
		return ir.Equal(x.Shape[0], grid.Shape[0])
	}
	GridSample.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(GridSampleAttr)
		corners := int64(0)
		if a.Corners {
			corners = 1
		}
		return ir.PlainCall{Func: "GridSample", Ints: []int64{a.Mode, a.Padding, corners}}
	}
	GridSample.Run = plain.GridSample
	ir.FromONNX("", "GridSample", 16, func(c *ir.Import) error {
		in, err := c.NeedAll(2)
		if err != nil {
			return err
		}
		mode, ok1 := map[string]int64{"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}[c.Str("mode", "linear")]
		pad, ok2 := map[string]int64{"zeros": 0, "border": 1, "reflection": 2}[c.Str("padding_mode", "zeros")]
		if !ok1 || !ok2 {
			return fmt.Errorf("mode %.40q, padding %.40q", c.Str("mode", ""), c.Str("padding_mode", ""))
		}
		return c.Return(c.Emit(GridSample, GridSampleAttr{mode, pad, c.Int("align_corners", 0) != 0}, in...))
	})
}
