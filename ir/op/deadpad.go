package op

import (
	"bytes"
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
	return withPads(c, pads), v
}

// withPads is the node with those pads, instead of what its attributes say of them.
func withPads(c *ir.Import, pads []int64) *ir.Import {
	padded := *c
	padded.Attrs = maps.Clone(c.Attrs)
	padded.Attrs["pads"] = ir.Attribute{Ints: pads}
	delete(padded.Attrs, "auto_pad")
	return &padded
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
		case !AllZeros(part) && inner == nil:
			inner = part
		case !AllZeros(part) || !known:
			return nil, -1, 0, 0
		case inner == nil:
			before += n
		default:
			after += n
		}
	}
	return inner, axis, before, after
}

// AllZeros reports whether a value is known to be an f32 of +0 everywhere, as what images are padded with is.
func AllZeros(v *ir.Value) bool {
	if v.Def != nil && (v.Def.Op == Expand || v.Def.Op == Reshape) {
		return AllZeros(v.Def.In[0])
	}
	return v.Const != nil && v.Const.Elem == loop.F32 && len(bytes.Trim(v.Const.Data, "\x00")) == 0
}
