package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

// SliceAttr: axis i of the result has Sizes[i] elements, from Starts[i] on in steps of Steps[i].
type SliceAttr struct {
	Starts, Sizes ir.DimList
	Steps         ir.IntList
}

// Slice takes a regular part of every axis.
var Slice = ir.NewOp("slice", "a regular part of every axis", SliceAttr{})

func init() {
	Slice.Infer = func(n *ir.Node) error {
		a, v := n.Attr.(SliceAttr), n.In[0]
		starts, sizes, steps := a.Starts.List(), a.Sizes.List(), a.Steps.List()
		if len(starts) != len(v.Shape) || len(sizes) != len(v.Shape) || len(steps) != len(v.Shape) {
			return fmt.Errorf("ranks differ")
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, sizes
		n.Out[0].Dims = sliceDims(v, starts, sizes, steps)
		return nil
	}
	Slice.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		a := n.Attr.(SliceAttr)
		starts, err := evalDims(b, a.Starts.List()...)
		if err != nil {
			return nil, err
		}
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		strides, offset := contiguous(in[0].Shape), int64(0)
		for i, s := range a.Steps.List() {
			last := starts[i] + s*max(shape[i]-1, 0)
			if shape[i] > 0 && (min(starts[i], last) < 0 || max(starts[i], last) >= in[0].Shape[i]) {
				return nil, fmt.Errorf("axis %d: [%d, %d] is outside the size %d", i, starts[i], last, in[0].Shape[i])
			}
			offset += starts[i] * strides[i]
			strides[i] *= s
		}
		return []*ir.Tensor{copyStrided(in[0], shape, offset, strides)}, nil
	}
	ir.FromONNX("", "Slice", 1, readSlice)
	ir.FromONNX("", "Split", 1, readSplit)
}

// sliceDims are the contents of a part of v, or nil.
func sliceDims(v *ir.Value, starts, sizes []sym.Dim, steps []int64) []sym.Dim {
	if len(v.Shape) != 1 {
		return blockDims(v, starts, sizes, steps)
	}
	size, ok := sizes[0].Const()
	if !ok || size > maxKnown {
		return nil
	}
	out := make([]sym.Dim, size)
	for i := range out {
		if out[i], ok = elementAt(v, starts[0].Add(sym.Const(int64(i)*steps[0]))); !ok {
			return nil
		}
	}
	return out
}

// blockDims are sliceDims of several axes, as in the way from torch's order of padding to ONNX's.
func blockDims(v *ir.Value, starts, sizes []sym.Dim, steps []int64) []sym.Dim {
	known := v.Contents()
	if known == nil {
		return nil
	}
	shape, strides, at := ir.ConstShape(sizes), contiguous(ir.ConstShape(v.Shape)), int64(0)
	for i, d := range v.Shape {
		first, ok := starts[i].Const()
		last, n := first+(shape[i]-1)*steps[i], ir.ConstShape([]sym.Dim{d})[0]
		if !ok || shape[i] < 1 || min(first, last) < 0 || max(first, last) >= n {
			return nil
		}
		at += first * strides[i]
		strides[i] *= steps[i]
	}
	var out []sym.Dim
	forEach(shape, func(idx []int64) {
		k := at
		for i, n := range idx {
			k += n * strides[i]
		}
		out = append(out, known[k])
	})
	return out
}

// whole is the attribute that takes everything of a shape.
func whole(shape []sym.Dim) (starts, sizes []sym.Dim, steps []int64) {
	starts, sizes = make([]sym.Dim, len(shape)), append([]sym.Dim{}, shape...)
	for range shape {
		steps = append(steps, 1)
	}
	return starts, sizes, steps
}

func slice(c *ir.Import, v *ir.Value, starts, sizes []sym.Dim, steps []int64) (*ir.Value, error) {
	if ir.SameShape(sizes, v.Shape) && ir.MakeDims(starts) == ir.MakeDims(make([]sym.Dim, len(starts))) {
		return v, nil
	}
	return c.Emit1(Slice, SliceAttr{ir.MakeDims(starts), ir.MakeDims(sizes), ir.MakeInts(steps...)}, v)
}

func readSlice(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	from, ok1, err1 := c.Dims(1, "starts")
	to, ok2, err2 := c.Dims(2, "ends")
	axes, hasAxes, err3 := c.ConstInts(3, "axes")
	by, hasSteps, err4 := c.ConstInts(4, "steps")
	if err := errors.Join(err1, err2, err3, err4, missing(ok1, "starts"), missing(ok2, "ends")); err != nil {
		return err
	}
	if len(to) != len(from) || hasAxes && len(axes) != len(from) || hasSteps && len(by) != len(from) || len(from) > len(v.Shape) {
		return fmt.Errorf("starts, ends, axes and steps have different lengths")
	}
	starts, sizes, steps := whole(v.Shape)
	for i := range from {
		axis, step := int64(i), int64(1)
		if hasAxes {
			axis = axes[i]
		}
		if hasSteps {
			step = by[i]
		}
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return err
		}
		if starts[a], sizes[a], err = sliceAxis(c, v.Shape[a], from[i], to[i], step); err != nil {
			return fmt.Errorf("axis %d: %w", a, err)
		}
		steps[a] = step
	}
	return c.Return1(slice(c, v, starts, sizes, steps))
}

// sliceAxis is numpy's rule for one axis of size d: start and number of elements.
func sliceAxis(c *ir.Import, d, from, to sym.Dim, step int64) (start, size sym.Dim, err error) {
	if step == 0 {
		return start, size, fmt.Errorf("step 0")
	}
	if step < 0 {
		return sliceBackwards(d, from, to, step)
	}
	start, end := clampIndex(c, d, from), clampIndex(c, d, to)
	return start, end.Sub(start).CeilDiv(sym.Const(step)).Max(sym.Const(0)), nil
}

// clampIndex brings an index into [0, d]; that a bound that depends on shapes lies within is taken as a fact.
func clampIndex(c *ir.Import, d, i sym.Dim) sym.Dim {
	if _, hi := i.Bounds(); hi < 0 {
		i = i.Add(d).Max(sym.Const(0))
	}
	if _, isConst := i.Const(); isConst || i.LessEq(d) != sym.Unknown {
		return i.Min(d)
	}
	c.Graph.Requires = append(c.Graph.Requires, ir.Require{Small: i, Large: d, Why: "the slice at " + c.From})
	return i
}

func sliceBackwards(d, from, to sym.Dim, step int64) (start, size sym.Dim, err error) {
	f, ok1 := from.Const()
	t, ok2 := to.Const()
	if !ok1 || !ok2 {
		return start, size, ir.NotSupported("a slice with a negative step and bounds that depend on shapes")
	}
	last := d.Sub(sym.Const(1))
	start = last.Min(sym.Const(f))
	if f < 0 {
		start = sym.Const(f).Add(d)
	}
	end := sym.Const(t)
	if t < 0 {
		end = end.Add(d).Max(sym.Const(-1))
	}
	return start, start.Sub(end).CeilDiv(sym.Const(-step)).Max(sym.Const(0)), nil
}

func readSplit(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axis, err := axisOf(c.Int("axis", 0), len(v.Shape))
	if err != nil {
		return err
	}
	parts, ok, err := c.Dims(1, "split")
	if err != nil {
		return err
	}
	if !ok {
		if parts, err = evenParts(v.Shape[axis], int64(max(c.NumOut, 1))); err != nil {
			return err
		}
	}
	var out []*ir.Value
	at := sym.Const(0)
	for _, p := range parts {
		starts, sizes, steps := whole(v.Shape)
		starts[axis], sizes[axis] = at, p
		part, err := slice(c, v, starts, sizes, steps)
		if err != nil {
			return err
		}
		out, at = append(out, part), at.Add(p)
	}
	if err := ir.Equal(at, v.Shape[axis]); err != nil {
		return fmt.Errorf("the parts make %v of axis %d, which is %v: %w", at, axis, v.Shape[axis], err)
	}
	return c.Return(out, nil)
}

// evenParts splits d into n parts of ceil(d/n), the last one smaller if need be.
func evenParts(d sym.Dim, n int64) ([]sym.Dim, error) {
	each := d.CeilDiv(sym.Const(n))
	if q, ok := d.Div(sym.Const(n)); ok {
		each = q
	}
	parts := make([]sym.Dim, n)
	for i := range parts {
		parts[i] = each
	}
	parts[n-1] = d.Sub(each.Mul(sym.Const(n - 1)))
	if lo, _ := parts[n-1].Bounds(); lo < 0 {
		return nil, fmt.Errorf("an axis of size %v cannot be split into %d parts", d, n)
	}
	return parts, nil
}

// alongAxis is every step-th of size elements of one axis from start on, and all of the others.
func alongAxis(shape []sym.Dim, axis int, start, size sym.Dim, step int64) SliceAttr {
	starts, sizes, steps := whole(shape)
	starts[axis], sizes[axis], steps[axis] = start, size, step
	return SliceAttr{ir.MakeDims(starts), ir.MakeDims(sizes), ir.MakeInts(steps...)}
}
