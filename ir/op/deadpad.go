package op

import (
	"maps"

	"mmc/ir"
	"mmc/ir/loop"
)

// withoutPadding is a convolution's input without the zeros that were put around it along its spatial axes, and the node with as much
// padding of its own instead: exporters pad images before windows that padding on one side alone belongs to.
func withoutPadding(c *ir.Import, x *ir.Value) (*ir.Import, *ir.Value) {
	mode := c.Str("auto_pad", "NOTSET")
	r := len(x.Shape) - 2
	if r < 1 || mode != "NOTSET" && mode != "VALID" {
		return c, x
	}
	pads := make([]int64, 2*r)
	if own, ok := c.Ints("pads"); ok && mode == "NOTSET" {
		if len(own) != 2*r {
			return c, x
		}
		copy(pads, own)
	}
	// The axes of v are those of x in the order of perm: a transposition may stand behind the padding.
	v, perm := x, identityPerm(len(x.Shape))
	if t := x.Def; t != nil && t.Op == Transpose {
		v, perm = t.In[0], t.Attr.(TransposeAttr).Perm.List()
	}
	found := false
	for {
		inner, axis, before, after := zerosAround(v)
		at := place(perm, axis)
		if inner == nil || at < 2 {
			break
		}
		v, found = inner, true
		pads[at-2] += before
		pads[r+at-2] += after
	}
	if !found {
		return c, x
	}
	if x.Def.Op == Transpose {
		b := &builder{c: c}
		if v = b.transpose(v, perm...); b.err != nil {
			return c, x
		}
	}
	padded := *c
	padded.Attrs = maps.Clone(c.Attrs)
	padded.Attrs["pads"] = ir.Attribute{Ints: pads}
	delete(padded.Attrs, "auto_pad")
	return &padded, v
}

func identityPerm(rank int) []int64 { return swapped(rank, 0, 0) }

// place is where the permutation puts an axis, -1 if nowhere.
func place(perm []int64, axis int) int {
	for i, p := range perm {
		if int(p) == axis {
			return i
		}
	}
	return -1
}

// zerosAround is the value that v puts zeros around, along which axis and how many; nil if v is something else.
func zerosAround(v *ir.Value) (inner *ir.Value, axis int, before, after int64) {
	if v.Def == nil || v.Def.Op != Concat {
		return nil, -1, 0, 0
	}
	axis = int(v.Def.Attr.(ConcatAttr).Axis)
	for _, part := range v.Def.In {
		n, known := part.Shape[axis].Const()
		switch {
		case !zeros(part) && inner == nil:
			inner = part
		case !zeros(part) || !known:
			return nil, -1, 0, 0
		case inner == nil:
			before += n
		default:
			after += n
		}
	}
	return inner, axis, before, after
}

// zeros reports whether a value is +0 everywhere.
func zeros(v *ir.Value) bool {
	if v.Def != nil && (v.Def.Op == Expand || v.Def.Op == Reshape) {
		return zeros(v.Def.In[0])
	}
	if v.Const == nil || v.Const.Elem != loop.F32 {
		return false
	}
	for _, b := range v.Const.Data {
		if b != 0 {
			return false
		}
	}
	return true
}
