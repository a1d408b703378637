package op

import (
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Resize of images whose size is open: the new sizes are formulas of theirs.

// mostParts is the greatest denominator of a scale by which an axis of open size is resized.
const mostParts = 64

// fraction is a scale as a fraction of whole numbers; of is 0 if it is none of small ones.
func fraction(scale float32) (by, of int64) {
	for of = 1; of <= mostParts; of++ {
		if p := float64(scale) * float64(of); p == math.Trunc(p) && p >= 1 && p <= 1<<16 {
			return int64(p), of
		}
	}
	return 0, 0
}

// scaledSize is the size that a scale gives an axis (ONNX Resize: rounded down).
func scaledSize(size sym.Dim, scale float32) (to sym.Dim, by, of int64) {
	if by, of = fraction(scale); of == 0 {
		return to, 0, 0
	}
	return size.Mul(sym.Const(by)).FloorDiv(sym.Const(of)), by, of
}

// openSizes are the sizes that scales give an image, if one of its last two axes is open. Where a scale is no whole number, the ratio of sizes
// is not always it, and a has it.
func (a *ResizeAttr) openSizes(c *ir.Import, v *ir.Value) (sizes []sym.Dim, ok bool) {
	scales, err := resizeScales(c)
	rank := len(v.Shape)
	if err != nil || rank < 3 || len(scales) != rank || !isOpen(v.Shape[rank-2:]) {
		return nil, false
	}
	own := []*float32{&a.ScaleH, &a.ScaleW}
	for i, s := range scales {
		to, _, of := scaledSize(v.Shape[i], s)
		if of == 0 || of > 1 && (i < rank-2 || a.Coord == "align_corners") {
			return nil, false
		}
		if of > 1 {
			*own[i-(rank-2)] = s
		}
		sizes = append(sizes, to)
	}
	return sizes, true
}

// readNearestOpen reads a Resize of axes of open size to the nearest place before, counted from the first one: element i of the result is
// element i*in/out, or i/scale. ok is false if it is something else.
func readNearestOpen(c *ir.Import, v *ir.Value, coord, rounding string) (ok bool, err error) {
	if _, axes := c.Ints("axes"); axes || coord != "asymmetric" || rounding != "floor" || !isOpen(v.Shape) || c.Str("keep_aspect_ratio_policy", "stretch") != "stretch" {
		return false, nil
	}
	sizes, given, err := c.Dims(3, "")
	if err != nil {
		return true, err
	}
	scales, err := resizeScales(c)
	if err != nil || given && len(sizes) != len(v.Shape) || !given && len(scales) != len(v.Shape) {
		return false, nil
	}
	b := &builder{c: c}
	for axis, in := range v.Shape {
		var to, step, of sym.Dim // element i is element i*step/of
		if given {
			to, step, of = sizes[axis], in, sizes[axis]
		} else {
			out, by, parts := scaledSize(in, scales[axis])
			if parts == 0 {
				return false, nil
			}
			to, step, of = out, sym.Const(parts), sym.Const(by)
		}
		if to == in {
			continue
		}
		divisor := b.do(Dims, DimsAttr{ir.MakeDims([]sym.Dim{of}), loop.I64, true})
		v = b.do(Gather, GatherAttr{int64(axis)}, v, b.div(b.counted(sym.Const(0), step, to), divisor))
	}
	return true, b.done(v)
}
