package op

import (
	"errors"
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ResizeAttr: Mode is nearest, linear or cubic; Coord how an output coordinate maps to the input; A the cubic's coefficient. Last says that the
// channels are last. ScaleH and ScaleW, where they are not 0, are the scales, which the ratio of the sizes then need not be.
type ResizeAttr struct {
	Mode, Coord    string
	A              float32
	Sizes          ir.DimList
	Last           bool
	ScaleH, ScaleW float32
}

// first is the first of the two axes that are sampled anew, of so many.
func (a ResizeAttr) first(rank int) int {
	if a.Last {
		return rank - 3
	}
	return rank - 2
}

// Planes are the sizes of an image of this shape: how many planes, of what height and width, of how many channels at a place.
func (a ResizeAttr) Planes(shape []sym.Dim) (planes, h, w, channels sym.Dim) {
	r := a.first(len(shape))
	return sym.Product(shape[:r]), shape[r], shape[r+1], sym.Product(shape[r+2:])
}

// Resize samples the last two axes, or those before the channels, anew (ONNX Resize without antialiasing; cubic convolution after Keys, 1981). Coordinates and
// weights are computed in f64; a sample is a chain of fused multiply-adds over the columns' taps, then over the rows'.
var Resize = ir.NewOp("resize", "samples the last two axes anew", ResizeAttr{})

func init() {
	Resize.Infer = func(n *ir.Node) error {
		v, a := n.In[0], n.Attr.(ResizeAttr)
		sizes := a.Sizes.List()
		if v.Elem != loop.F32 {
			return ir.NotSupported("Resize of %v", v.Elem)
		}
		if len(sizes) != len(v.Shape) || len(sizes) < 3 {
			return fmt.Errorf("%d sizes for rank %d", len(sizes), len(v.Shape))
		}
		first := a.first(len(sizes))
		for i, d := range sizes {
			if (i < first || i > first+1) && d != v.Shape[i] {
				return ir.NotSupported("Resize of axis %d of %d", i, len(sizes))
			}
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, sizes
		return nil
	}
	Resize.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		out := ir.NewTensor(loop.F32, shape...)
		resize(n.Attr.(ResizeAttr), in[0], out)
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "Resize", 11, readResize)
	ir.FromONNX("", "Resize", 10, readUpsample)
	ir.FromONNX("", "Upsample", 7, readUpsample)
}

// readUpsample reads the forms before opset 11, which have but one way to count places.
func readUpsample(c *ir.Import) error {
	for name, mode := range map[string]string{"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} {
		c.Attrs[name] = ir.Attribute{S: mode}
	}
	return readResize(c)
}

// readNearest reads an enlargement by whole factors in which every element is repeated: element i of the result is element i/factor.
func readNearest(c *ir.Import, v *ir.Value, coord, rounding string) error {
	repeats := coord == "asymmetric" && rounding == "floor" ||
		(coord == "half_pixel" || coord == "pytorch_half_pixel") && (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil")
	if _, axes := c.Ints("axes"); !repeats || axes {
		return ir.NotSupported("Resize to the nearest element with coordinates %.40q and rounding %.40q", coord, rounding)
	}
	factors, err := wholeFactors(c, v)
	if err != nil {
		return err
	}
	var apart, wide, out []sym.Dim
	for i, f := range factors {
		d := v.Shape[i]
		apart, wide, out = append(apart, d), append(wide, d), append(out, d.Mul(sym.Const(f)))
		if f > 1 {
			apart, wide = append(apart, sym.Const(1)), append(wide, sym.Const(f))
		}
	}
	y, err := reshape(c, v, apart)
	if err == nil {
		y, err = expand(c, y, wide)
	}
	if err != nil {
		return err
	}
	return c.Return1(reshape(c, y, out))
}

// wholeFactors are the factors of every axis, from scales or sizes; they must be whole numbers.
func wholeFactors(c *ir.Import, v *ir.Value) ([]int64, error) {
	factors := make([]int64, len(v.Shape))
	if sizes, ok, err := c.Dims(3, ""); ok || err != nil {
		for i := range factors {
			if err != nil || len(sizes) != len(factors) {
				return nil, errors.Join(err, missing(err != nil, "a size for every axis"))
			}
			q, _ := sizes[i].Div(v.Shape[i])
			f, whole := q.Const()
			if factors[i] = f; !whole || f < 1 {
				return nil, ir.NotSupported("Resize to the nearest element by a factor that is not whole")
			}
		}
		return factors, nil
	}
	scales, err := resizeScales(c)
	if err != nil || len(scales) != len(factors) {
		return nil, orElse(err, fmt.Errorf("%d scales for rank %d", len(scales), len(factors)))
	}
	for i, s := range scales {
		if factors[i] = int64(s); float32(factors[i]) != s || s < 1 {
			return nil, ir.NotSupported("Resize to the nearest element by a factor that is not whole")
		}
	}
	return factors, nil
}

// readResize reads what the models of vision use as one kernel or as repetition, and all else axis by axis.
func readResize(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	a := ResizeAttr{Mode: c.Str("mode", "nearest"), Coord: c.Str("coordinate_transformation_mode", "half_pixel"), A: c.Float("cubic_coeff_a", -0.75)}
	if a.Mode == "nearest" {
		before := len(c.Graph.Nodes)
		if err := readNearest(c, v, a.Coord, c.Str("nearest_mode", "round_prefer_floor")); err == nil {
			return nil
		}
		c.Graph.Nodes = c.Graph.Nodes[:before]
		if ok, err := readNearestOpen(c, v, a.Coord, c.Str("nearest_mode", "round_prefer_floor")); ok || err != nil {
			return err
		}
		c.Graph.Nodes = c.Graph.Nodes[:before]
		return resizeAxes(c, v)
	}
	if a.Mode != "linear" && a.Mode != "cubic" {
		return fmt.Errorf("Resize in mode %.40q", a.Mode)
	}
	if v.Elem.Integer() && a.Mode == "linear" {
		return resizeIntegers(c, v)
	}
	_, hasAxes := c.Ints("axes")
	_, known := resizeCoords[a.Coord]
	sizes, ok, err := c.Dims(3, "")
	if err != nil {
		return err
	}
	if !ok {
		sizes, ok = a.openSizes(c, v)
	}
	rare := c.Int("antialias", 0) != 0 || c.Int("exclude_outside", 0) != 0 || c.Str("keep_aspect_ratio_policy", "stretch") != "stretch"
	if !known || rare || hasAxes || !ok || len(v.Shape) < 3 || len(sizes) != len(v.Shape) {
		return resizeAxes(c, v)
	}
	for i, d := range sizes[:len(sizes)-2] {
		if d != v.Shape[i] {
			return resizeAxes(c, v)
		}
	}
	a.Sizes = ir.MakeDims(sizes)
	return c.Return(c.Emit(Resize, a, v))
}

// resizeIntegers reads a Resize between integers, which ONNX Runtime's quantisers write: what is behind the point is cut off.
func resizeIntegers(c *ir.Import, v *ir.Value) error {
	var err error
	if c.Inputs[0], err = cast(c, v, loop.F32); err != nil {
		return err
	}
	if err := readResize(c); err != nil {
		return err
	}
	return c.Return1(cast(c, c.Out[0], v.Elem))
}

// resizeCoords are the coordinate modes of the kernel.
var resizeCoords = map[string]bool{"half_pixel": true, "pytorch_half_pixel": true, "align_corners": true, "asymmetric": true}

// stepOf is from how many places of an axis of in to the next one of out; its scale is 0 if it is the sizes' ratio.
func stepOf(scale float32, in, out int64) float64 {
	if scale != 0 {
		return 1 / float64(scale)
	}
	return float64(in) / float64(out)
}

// taps are the places and weights of one output coordinate.
func taps(a ResizeAttr, i, in, out int64, step float64) (at [4]int64, w [4]float32, n int) {
	x := float64((float64(i)+0.5)*step) - 0.5
	switch {
	case a.Coord == "asymmetric":
		x = float64(i) * step
	case a.Coord == "align_corners" && out > 1:
		x = float64(i) * float64(in-1) / float64(out-1)
	case a.Coord == "align_corners", a.Coord == "pytorch_half_pixel" && out == 1:
		x = 0
	}
	if a.Mode == "linear" {
		x = min(max(x, 0), float64(in-1))
	}
	low := int64(math.Floor(x))
	t := x - float64(low)
	if a.Mode == "linear" {
		return [4]int64{low, min(low+1, in-1)}, [4]float32{float32(1 - t), float32(t)}, 2
	}
	k := float64(a.A)
	outer := func(d float64) float32 {
		return float32(float64((float64((float64(k*d)-float64(5*k))*d)+float64(8*k))*d) - float64(4*k))
	}
	inner := func(d float64) float32 { return float32(float64(float64((float64((k+2)*d)-(k+3))*d)*d) + 1) }
	for j := range at {
		at[j] = min(max(low-1+int64(j), 0), in-1)
	}
	return at, [4]float32{outer(t + 1), inner(t), inner(1 - t), outer(2 - t)}, 4
}

func resize(a ResizeAttr, in, out *ir.Tensor) {
	x, y := ir.Slice[float32](in), ir.Slice[float32](out)
	r := a.first(len(in.Shape))
	h, w, oh, ow, channels := in.Shape[r], in.Shape[r+1], out.Shape[r], out.Shape[r+1], ir.NumElements(in.Shape[r+2:])
	down, right := stepOf(a.ScaleH, h, oh), stepOf(a.ScaleW, w, ow)
	for p := range ir.NumElements(in.Shape[:r]) {
		for i := range oh {
			rows, wr, n := taps(a, i, h, oh, down)
			for j := range ow * channels {
				cols, wc, _ := taps(a, j/channels, w, ow, right)
				sum := float32(0)
				for b := range n {
					line := float32(0)
					for c := range n {
						line = loop.FMA32(wc[c], x[((p*h+rows[b])*w+cols[c])*channels+j%channels], line)
					}
					sum = loop.FMA32(wr[b], line, sum)
				}
				y[(p*oh+i)*ow*channels+j] = sum
			}
		}
	}
}

// ResizeKernel combines elements of some places: buffers are those of each place and its weight in turns, and the result.
func ResizeKernel(places int) *loop.Kernel {
	b := loop.NewBuilder("resize")
	x, w := make([]int, places), make([]int, places)
	for i := range x {
		x[i], w[i] = b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32, Uniform: true})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	b.Loop(func() {
		v := b.F(0)
		for i := range x {
			v = b.FMA(b.Load(x[i]), b.Load(w[i]), v)
		}
		b.Store(y, v)
	})
	return b.Kernel()
}
