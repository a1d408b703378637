package op

import (
	"fmt"
	"math"
	"sort"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Resize in its rarer forms is read axis by axis: a nearest element is a gather, everything else a product with a matrix of weights.
// Sizes must be known. The formulas are those of ONNX Resize, opset 19.

// sampling is how one axis is resized.
type sampling struct {
	mode, coord, nearest string
	a                    float64
	antialias, exclude   bool
	extrapolation        float64
	scale                float64
	roi                  [2]float64
	size                 sym.Dim // of the axis; in is that as a number, or open
	in, out              int64
}

// open is the size of an axis that is not known: it must stay as it is.
const open = -1

func (p *sampling) openAxis() error {
	return ir.NotSupported("Resize in mode %.40q with coordinates %.40q of an axis whose size is not known", p.mode, p.coord)
}

// resizeAxes reads a Resize of any axes.
func resizeAxes(c *ir.Import, v *ir.Value) error {
	rank := len(v.Shape)
	axes := make([]int64, rank)
	for i := range axes {
		axes[i] = int64(i)
	}
	if list, ok := c.Ints("axes"); ok {
		axes = list
	}
	plans, err := samplings(c, v, axes)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	for i, p := range plans {
		a, err := axisOf(axes[i], rank)
		if err != nil {
			return err
		}
		v = b.sample(v, a, p)
	}
	return b.done(v)
}

// samplings are the plans of the axes, from scales or sizes.
func samplings(c *ir.Import, v *ir.Value, axes []int64) ([]sampling, error) {
	base := sampling{mode: c.Str("mode", "nearest"), coord: c.Str("coordinate_transformation_mode", "half_pixel"),
		nearest: c.Str("nearest_mode", "round_prefer_floor"), a: float64(c.Float("cubic_coeff_a", -0.75)), antialias: c.Int("antialias", 0) != 0,
		exclude: c.Int("exclude_outside", 0) != 0, extrapolation: float64(c.Float("extrapolation_value", 0)), roi: [2]float64{0, 1}}
	plans := make([]sampling, len(axes))
	for i, axis := range axes {
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return nil, err
		}
		plans[i], plans[i].in, plans[i].size = base, open, v.Shape[a]
		if n, ok := v.Shape[a].Const(); ok {
			plans[i].in = n
		}
	}
	if err := resizedTo(c, plans); err != nil {
		return nil, err
	}
	roi := c.Value(1)
	if base.coord != "tf_crop_and_resize" || roi == nil {
		return plans, nil
	}
	if roi.Const == nil || roi.Const.Len() != 2*len(axes) {
		return nil, ir.UnknownContents(roi, "Resize of a region that depends on data")
	}
	for i := range plans {
		plans[i].roi = [2]float64{roi.Const.At(i).F, roi.Const.At(len(axes) + i).F}
	}
	return plans, nil
}

// resizedTo finds the new sizes and the scales.
func resizedTo(c *ir.Import, plans []sampling) error {
	if sizes, ok, err := c.Dims(3, ""); ok || err != nil {
		if err != nil || len(sizes) != len(plans) {
			return orElse(err, fmt.Errorf("%d sizes for %d axes", len(sizes), len(plans)))
		}
		return toSizes(c.Str("keep_aspect_ratio_policy", "stretch"), sizes, plans)
	}
	scales, err := resizeScales(c)
	if err != nil {
		return err
	}
	if len(scales) != len(plans) {
		return fmt.Errorf("%d scales for %d axes", len(scales), len(plans))
	}
	for i, s := range scales {
		if plans[i].in == open {
			if s != 1 || plans[i].coord == "tf_crop_and_resize" {
				return plans[i].openAxis()
			}
			plans[i].stays()
			continue
		}
		plans[i].scale, plans[i].out = float64(s), int64(math.Floor(float64(s)*float64(plans[i].in)))
		if s <= 0 || plans[i].out < 1 || plans[i].out > 1<<24 {
			return fmt.Errorf("scale %g of size %d", s, plans[i].in)
		}
	}
	return nil
}

// stays makes a plan for an axis that is not resized, whatever its size.
func (p *sampling) stays() { p.scale, p.in, p.out = 1, 1, 1 }

// toSizes finds the scales that give sizes; an axis whose size is not known must stay as it is.
func toSizes(policy string, sizes []sym.Dim, plans []sampling) error {
	var known []int64
	for i, d := range sizes {
		p := &plans[i]
		if n, ok := d.Const(); ok && p.in != open {
			known = append(known, n)
			continue
		}
		if d != p.size || policy != "stretch" || p.coord == "tf_crop_and_resize" {
			return p.openAxis()
		}
		p.stays()
		known = append(known, 1)
	}
	return keepAspect(policy, known, plans)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func resizeScales(c *ir.Import) ([]float32, error) {
	scales := c.Attrs["scales"].Floats
	for _, in := range []int{2, 1} {
		s := c.Value(in)
		if in == 1 && c.Opset >= 11 {
			break
		}
		if scales != nil || s == nil || s.Shape[0].Is(0) {
			continue
		}
		if s.Const == nil || s.Elem != loop.F32 {
			return nil, ir.UnknownContents(s, "Resize by scales that depend on data")
		}
		scales = ir.Slice[float32](s.Const)
	}
	return scales, nil
}

func keepAspect(policy string, sizes []int64, plans []sampling) error {
	least, most := math.Inf(1), 0.0
	for i := range plans {
		p := &plans[i]
		if p.in < 1 || sizes[i] < 1 || sizes[i] > 1<<24 {
			return fmt.Errorf("size %d for %d", sizes[i], p.in)
		}
		p.out, p.scale = sizes[i], float64(sizes[i])/float64(p.in)
		least, most = min(least, p.scale), max(most, p.scale)
	}
	scale := map[string]float64{"not_larger": least, "not_smaller": most}[policy]
	if policy == "stretch" {
		return nil
	}
	if scale == 0 {
		return fmt.Errorf("keep_aspect_ratio_policy %.40q", policy)
	}
	for i := range plans {
		plans[i].scale, plans[i].out = scale, int64(math.Floor(float64(scale*float64(plans[i].in))+0.5))
	}
	return nil
}

// maxSamples is the most elements of a table made while reading: of the weights of one axis, its old size times its new one.
const maxSamples = 1 << 24

// sample resizes one axis.
func (b *builder) sample(v *ir.Value, axis int, p sampling) *ir.Value {
	if b.err != nil || p.scale == 1 && p.in == p.out && p.coord != "tf_crop_and_resize" {
		return v
	}
	if p.in > maxSamples/p.out {
		return b.fail(ir.NotSupported("Resize of %d to %d along one axis", p.in, p.out))
	}
	index, weights, outside := make([]int64, p.out), ir.NewTensor(loop.F32, p.in, p.out), ir.NewTensor(loop.Bool, p.out)
	w, single, any := ir.Slice[float32](weights), true, false
	for o := range p.out {
		at, coeffs, out := p.taps(o)
		if out {
			outside.Data[o], any = 1, true
			continue
		}
		for k, i := range at {
			if coeffs[k] == 0 {
				continue
			}
			i = min(max(i, 0), p.in-1)
			w[i*p.out+o] += float32(coeffs[k])
			index[o], single = i, single && coeffs[k] == 1
		}
	}
	if single {
		v = b.do(Gather, GatherAttr{int64(axis)}, v, ir.ConstValue("", ir.Ints(index, p.out)))
	} else {
		last := len(v.Shape) - 1
		perm := swapped(len(v.Shape), axis, last)
		v = b.transpose(b.do(MatMul, nil, b.transpose(v, perm...), ir.ConstValue("", weights)), perm...)
	}
	if !any || b.err != nil {
		return v
	}
	along := make([]sym.Dim, len(v.Shape))
	for i := range along {
		along[i] = sym.Const(1)
	}
	along[axis] = sym.Const(p.out)
	return b.do(Where, nil, b.reshape(ir.ConstValue("", outside), along), b.like(v, p.extrapolation), v)
}

// taps are the places and weights of output o; outside says that it takes the extrapolation value.
func (p *sampling) taps(o int64) (at []int64, w []float64, outside bool) {
	x, size := p.coordinate(float64(o)), float64(p.in)
	if p.coord == "tf_crop_and_resize" && (x < 0 || x > size-1) {
		return nil, nil, true
	}
	ratio := x - math.Floor(x)
	if ratio == 0 {
		ratio = 1
	}
	w = p.coefficients(ratio)
	at = nearestPlaces(x, len(w))
	if p.exclude {
		sum := 0.0
		for k, i := range at {
			if i < 0 || i >= p.in {
				w[k] = 0
			}
			sum += w[k]
		}
		for k := range w {
			w[k] /= sum
		}
	}
	return at, w, false
}

// coordinate maps an output's place to the input.
func (p *sampling) coordinate(x float64) float64 {
	in, out := float64(p.in), float64(p.scale*float64(p.in))
	switch p.coord {
	case "align_corners":
		if out == 1 {
			return 0
		}
		return x * (in - 1) / (out - 1)
	case "asymmetric":
		return x / p.scale
	case "tf_crop_and_resize":
		if out == 1 {
			return float64((p.roi[1]-p.roi[0])*(in-1)/2) + float64(p.roi[0]*(in-1))
		}
		return x*(p.roi[1]-p.roi[0])*(in-1)/(out-1) + float64(p.roi[0]*(in-1))
	case "pytorch_half_pixel":
		if out == 1 {
			return -0.5
		}
	case "half_pixel_symmetric":
		return float64(in/2*(1-float64(p.out)/out)) + (x+0.5)/p.scale - 0.5
	}
	return (x+0.5)/p.scale - 0.5
}

// coefficients are the weights of the places around a coordinate whose fraction is ratio, in (0, 1].
func (p *sampling) coefficients(ratio float64) []float64 {
	scale := 1.0
	if p.antialias {
		scale = min(p.scale, 1)
	}
	switch p.mode {
	case "linear":
		start := int(math.Floor(-1/scale)) + 1
		return spread(start, 2-start, ratio, scale, p.antialias, func(x float64) float64 { return min(max(1-x, 0), 1) })
	case "cubic":
		start := int(math.Floor(-2/scale)) + 1
		return spread(start, 2-start, ratio, scale, p.antialias, func(x float64) float64 {
			switch {
			case x <= 1:
				return float64((float64((p.a+2)*x)-(p.a+3))*x*x) + 1
			case x < 2:
				return float64((float64((float64(p.a*x)-float64(5*p.a))*x)+float64(8*p.a))*x) - float64(4*p.a)
			}
			return 0
		})
	}
	low := p.nearest == "floor" || p.nearest == "round_prefer_floor" && ratio <= 0.5 || p.nearest == "round_prefer_ceil" && ratio < 0.5
	if low && ratio != 1 {
		return []float64{1, 0}
	}
	return []float64{0, 1}
}

// spread evaluates a filter at the places from start to end, and makes the weights' sum 1 if it is stretched.
func spread(start, end int, ratio, scale float64, stretched bool, filter func(float64) float64) []float64 {
	var w []float64
	sum := 0.0
	for i := start; i < end; i++ {
		x := filter(math.Abs(scale * (float64(i) - ratio)))
		w, sum = append(w, x), sum+x
	}
	for i := range w {
		if stretched {
			w[i] /= sum
		}
	}
	return w
}

// nearestPlaces are the n whole numbers nearest to x, of equally near ones the lower, in order.
func nearestPlaces(x float64, n int) []int64 {
	base := int64(math.Floor(x))
	var list []int64
	for i := base - int64(n) - 1; i <= base+int64(n)+1; i++ {
		list = append(list, i)
	}
	sort.SliceStable(list, func(i, j int) bool { return math.Abs(x-float64(list[i])) < math.Abs(x-float64(list[j])) })
	list = list[:n]
	sort.Slice(list, func(i, j int) bool { return list[i] < list[j] })
	return list
}
