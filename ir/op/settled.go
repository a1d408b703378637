package op

import (
	"slices"

	"mmc/ir"
)

// maxSettled is the most steps that settled does, settledElements the most elements of what they give.
const (
	maxSettled      = 64
	settledElements = 1 << 26
)

// settled is what a value made of constants alone, in few steps, holds; nil if it is not that.
func settled(v *ir.Value) *ir.Value { return settledBy(v, map[*ir.Value]*ir.Value{}) }

func settledBy(v *ir.Value, seen map[*ir.Value]*ir.Value) *ir.Value {
	c, did := seen[v]
	switch {
	case v == nil || v.Const != nil:
		return v
	case did || v.Def == nil || len(seen) == maxSettled:
		return c
	}
	seen[v] = nil
	in := make([]*ir.Value, len(v.Def.In))
	for i, x := range v.Def.In {
		if in[i] = settledBy(x, seen); in[i] == nil && x != nil {
			return nil
		}
	}
	n, err := ir.NewNode(v.Def.Op, v.Def.Attr, nil, in...)
	if err != nil {
		return nil
	}
	if out := ir.Fold(n, settledElements); out != nil {
		seen[v] = out[slices.Index(v.Def.Out, v)]
	}
	return seen[v]
}
