package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/runtime/plain"
)

// PlainAttr holds the numbers of a function of package plain, and the type of the result where it is not the first input's.
type PlainAttr struct {
	Ints   ir.IntList
	Floats string // with semicolons
	To     loop.Elem
	Shape  ir.DimList
}

// Operators whose result has the shape the attribute says, or the first input's.
var (
	ReverseSequence = newPlain("reversesequence", "ReverseSequence", "turns the start of sequences around", plain.ReverseSequence)
	CumProd         = newPlain("cumprod", "CumProd", "running product along the last axis", plain.CumProd)
	CumSumOther     = newPlain("cumsumother", "CumSum", "running sum along the last axis, other types", plain.CumSum)
	Det             = newPlain("det", "Det", "determinants of the last two axes", plain.Det)
	BitCast         = newPlain("bitcast", "Copy", "the same bits as another type", plain.Copy)
	TensorScatter   = newPlain("tensorscatter", "TensorScatter", "writes into a cache at a place of each sequence's own", plain.TensorScatter)
	RoiAlign        = newPlain("roialign", "RoiAlign", "pools regions to a fixed size", plain.RoiAlign)
)

func newPlain(name, fn, doc string, run plain.Func) *ir.Op {
	o := ir.NewOp(name, doc, PlainAttr{})
	o.Run = run
	o.Infer = func(n *ir.Node) error {
		a := n.Attr.(PlainAttr)
		n.Out[0].Elem, n.Out[0].Shape = n.In[0].Elem, n.In[0].Shape
		if a.To != loop.Invalid {
			n.Out[0].Elem = a.To
		}
		if a.Shape != "" {
			n.Out[0].Shape = a.Shape.List()
		}
		return nil
	}
	o.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(PlainAttr)
		return ir.PlainCall{Func: fn, Ints: a.Ints.List(), Floats: ir.ParseFloats(a.Floats)}
	}
	return o
}

func init() {
	ir.FromONNX("", "ReverseSequence", 10, readReverseSequence)
	ir.FromONNX("", "CumProd", 26, readCumProd)
	ir.FromONNX("", "Det", 11, readDet)
	ir.FromONNX("", "BitCast", 26, readBitCast)
	ir.FromONNX("", "TensorScatter", 24, readTensorScatter)
	ir.FromONNX("", "RoiAlign", 10, readRoiAlign)
}

func readReverseSequence(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	time, batch := c.Int("time_axis", 0), c.Int("batch_axis", 1)
	if time+batch != 1 || time*batch != 0 || len(in[0].Shape) < 2 || len(in[1].Shape) != 1 || in[1].Elem != loop.I64 {
		return fmt.Errorf("time axis %d, batch axis %d, lengths %v%v for rank %d", time, batch, in[1].Elem, in[1].Shape, len(in[0].Shape))
	}
	if err := ir.Equal(in[0].Shape[batch], in[1].Shape[0]); err != nil {
		return err
	}
	return c.Return(c.Emit(ReverseSequence, PlainAttr{Ints: ir.MakeInts(time, batch)}, in...))
}

func readCumProd(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	axes, ok, err := c.ConstInts(1, "")
	if b.err != nil || err != nil || !ok || len(axes) != 1 {
		return errors.Join(b.err, err, missing(ok && len(axes) == 1, "one axis"))
	}
	axis, err := axisOf(axes[0], len(x.Shape))
	if err != nil {
		return err
	}
	switch x.Elem {
	case loop.F32, loop.F64, loop.I32, loop.I64:
	default:
		return ir.NotSupported("CumProd of %v", x.Elem)
	}
	perm := swapped(len(x.Shape), axis, len(x.Shape)-1)
	y := b.do(CumProd, PlainAttr{Ints: ir.MakeInts(c.Int("exclusive", 0), c.Int("reverse", 0))}, b.transpose(x, perm...))
	return b.done(b.transpose(y, perm...))
}

func readDet(c *ir.Import) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	r := len(x.Shape)
	if r < 2 || x.Elem != loop.F32 {
		return ir.NotSupported("Det of %v of rank %d", x.Elem, r)
	}
	if err := ir.Equal(x.Shape[r-1], x.Shape[r-2]); err != nil {
		return err
	}
	b := &builder{c: c}
	y := b.do(Det, PlainAttr{Shape: ir.MakeDims(dims(x.Shape[:r-2], 1))}, x)
	return b.done(b.reshape(y, x.Shape[:r-2]))
}

func readBitCast(c *ir.Import) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	to, err := ir.ElemFromONNX(c.Int("to", 0))
	if err != nil {
		return err
	}
	if to.Size() != x.Elem.Size() || to == loop.Bool {
		return ir.NotSupported("BitCast of %v to %v", x.Elem, to)
	}
	return c.Return(c.Emit(BitCast, PlainAttr{To: to}, x))
}

func readTensorScatter(c *ir.Import) error {
	cache, err1 := c.Need(0)
	update, err2 := c.Need(1)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	axis, err := axisOf(c.Int("axis", -2), len(cache.Shape))
	if err != nil {
		return err
	}
	if axis == 0 || len(update.Shape) != len(cache.Shape) || update.Elem != cache.Elem {
		return fmt.Errorf("an update %v%v along axis %d of %v%v", update.Elem, update.Shape, axis, cache.Elem, cache.Shape)
	}
	for a, d := range cache.Shape {
		if a == axis {
			continue
		}
		if err := ir.Equal(d, update.Shape[a]); err != nil {
			return err
		}
	}
	circular, ok := map[string]int64{"linear": 0, "circular": 1}[c.Str("mode", "linear")]
	if !ok {
		return fmt.Errorf("mode %.40q", c.Str("mode", ""))
	}
	in := []*ir.Value{cache, update}
	if v := c.Value(2); v != nil {
		in = append(in, v)
		if err := ir.Equal(v.Shape[0], cache.Shape[0]); err != nil {
			return err
		}
	}
	return c.Return(c.Emit(TensorScatter, PlainAttr{Ints: ir.MakeInts(int64(axis), circular)}, in...))
}

func readRoiAlign(c *ir.Import) error {
	in, err := c.NeedAll(3)
	if err != nil {
		return err
	}
	x, rois := in[0], in[1]
	if len(x.Shape) != 4 || len(rois.Shape) != 2 || !rois.Shape[1].Is(4) || x.Elem != loop.F32 || rois.Elem != loop.F32 || in[2].Elem != loop.I64 || len(in[2].Shape) != 1 {
		return ir.NotSupported("RoiAlign of %v%v at %v%v", x.Elem, x.Shape, rois.Elem, rois.Shape)
	}
	if err := ir.Equal(rois.Shape[0], in[2].Shape[0]); err != nil {
		return err
	}
	def := "half_pixel"
	if c.Opset < 16 {
		def = "output_half_pixel"
	}
	half := b2i(c.Str("coordinate_transformation_mode", def) == "half_pixel")
	greatest := b2i(c.Str("mode", "avg") == "max")
	a := PlainAttr{Ints: ir.MakeInts(c.Int("sampling_ratio", 0), greatest, half), Floats: fmt.Sprint(c.Float("spatial_scale", 1)),
		Shape: ir.MakeDims(dims(rois.Shape[0], x.Shape[1], c.Int("output_height", 1), c.Int("output_width", 1)))}
	return c.Return(c.Emit(RoiAlign, a, in...))
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
