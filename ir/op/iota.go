package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// IotaAttr: element i is Start + i*Step, for i < N, in type To.
type IotaAttr struct {
	Start, Step, N ir.DimList
	To             loop.Elem
}

// Iota counts: a vector Start, Start+Step, …
var Iota = ir.NewOp("iota", "start, start+step, …", IotaAttr{})

func init() {
	Iota.Infer = func(n *ir.Node) error {
		a := n.Attr.(IotaAttr)
		n.Out[0].Elem, n.Out[0].Shape = a.To, a.N.List()
		if _, most := n.Out[0].Shape[0].Bounds(); most < 0 {
			return fmt.Errorf("a range of %v numbers", n.Out[0].Shape[0])
		}
		return nil
	}
	Iota.Eval = func(n *ir.Node, b sym.Binding, _ []*ir.Tensor) ([]*ir.Tensor, error) {
		a := n.Attr.(IotaAttr)
		v, err := evalDims(b, a.Start.List()[0], a.Step.List()[0], a.N.List()[0])
		if err != nil {
			return nil, err
		}
		if v[2] < 0 {
			return nil, fmt.Errorf("a range of %d numbers", v[2])
		}
		t := ir.NewTensor(a.To, v[2])
		for i := range t.Len() {
			x := v[0] + int64(i)*v[1]
			t.Set(i, loop.Scalar{F: float64(x), I: x})
		}
		return []*ir.Tensor{t}, nil
	}
	ir.FromONNX("", "Range", 11, readRange)
}

// evalDims computes dims that may be negative.
func evalDims(b sym.Binding, ds ...sym.Dim) ([]int64, error) {
	out := make([]int64, len(ds))
	for i, d := range ds {
		v, err := d.Eval(b)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func readRange(c *ir.Import) error {
	in, err := c.NeedAll(3)
	if err != nil {
		return err
	}
	if t, err := constantRange(in); err != nil {
		return err
	} else if t != nil {
		return c.Return1(ir.ConstValue("", t), nil)
	}
	start, shift := splitStart(in[0])
	var ds [3]sym.Dim
	for i, v := range []*ir.Value{start, in[1], in[2]} {
		d := integral(v)
		if d == nil {
			return ir.UnknownContents(in[i], "Range whose bounds depend on data")
		}
		ds[i] = *d
	}
	step := ds[2]
	lo, hi := step.Bounds()
	if lo <= 0 && hi >= 0 {
		return ir.NotSupported("Range with a step whose sign is not known, or zero")
	}
	first := ds[0]
	if shift != 0 && hi < 0 {
		first = first.Add(sym.Const(1)) // counting down, what is above a whole number makes the range as long as the next one would
	}
	n := ds[1].Sub(first).CeilDiv(step).Max(sym.Const(0))
	one := func(d sym.Dim) ir.DimList { return ir.MakeDims([]sym.Dim{d}) }
	b := &builder{c: c}
	y := b.do(Iota, IotaAttr{one(ds[0]), one(step), one(n), in[0].Elem})
	if shift != 0 {
		y = b.add(y, b.like(y, shift))
	}
	return b.done(y)
}

// constantRange is a range of floats that are all known; nil if they are not.
func constantRange(in []*ir.Value) (*ir.Tensor, error) {
	var f [3]float64
	for i, v := range in {
		if v.Const == nil || v.Const.Len() != 1 || !v.Elem.Float() {
			return nil, nil
		}
		f[i] = v.Const.At(0).F
	}
	n := max(math.Ceil((f[1]-f[0])/f[2]), 0)
	if !(n <= maxSamples) {
		return nil, fmt.Errorf("a range from %g to %g in steps of %g", f[0], f[1], f[2])
	}
	t := ir.NewTensor(in[0].Elem, int64(n))
	for i := range t.Len() {
		t.Set(i, loop.Scalar{F: f[0] + float64(float64(i)*f[2])})
	}
	return t, nil
}

// splitStart is a start as a whole number and, if it is a constant between two, what it is more than that: half a pixel, say.
func splitStart(v *ir.Value) (whole *ir.Value, shift float64) {
	if !v.Elem.Float() || v.Const == nil || v.Const.Len() != 1 {
		return v, 0
	}
	f := v.Const.At(0).F
	floor := math.Floor(f)
	if f == floor || math.IsNaN(f) || math.Abs(f) > 1<<20 {
		return v, 0
	}
	return ir.Scalar(v.Elem, floor), f - floor
}

// integral is the content of a scalar as a dim, also of a float that is a whole number.
func integral(v *ir.Value) *sym.Dim {
	if ds := v.Elements(); len(ds) == 1 {
		return &ds[0]
	}
	return nil
}
