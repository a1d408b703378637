package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// What moves do is found by running them on numbers that count, so their spelling does not matter.

// isMove reports whether a node only moves elements.
func isMove(n *ir.Node) bool {
	switch n.Op {
	case op.Transpose, op.Reshape, op.Slice, op.Concat:
		return true
	case op.Gather:
		return n.In[1].Const != nil && len(n.In[1].Shape) == 0
	}
	return false
}

// from walks back through moves of one input.
func from(v *ir.Value) *ir.Value {
	for v.Def != nil && isMove(v.Def) && v.Def.Op != op.Concat {
		v = v.Def.In[0]
	}
	return v
}

// back walks back through operators of some kinds to what their first inputs are made of; moves are theirs, the last first.
func back(v *ir.Value, kinds ...*ir.Op) (src *ir.Value, moves []*ir.Node) {
	for v.Def != nil && slices.Contains(kinds, v.Def.Op) {
		moves, v = append(moves, v.Def), v.Def.In[0]
	}
	return v, moves
}

// moved does what back has found to another value.
func moved(p *ir.Patch, v *ir.Value, moves []*ir.Node) *ir.Value {
	for _, m := range slices.Backward(moves) {
		v = p.Emit1(m.Op, m.Attr, v)
	}
	return v
}

// bindings are two sizes of the only symbol of a shape, the batch, or one if there is none; nil if there are more symbols.
func bindings(shape []sym.Dim) []sym.Binding {
	symbols := sym.Product(shape).Symbols()
	switch len(symbols) {
	case 0:
		return []sym.Binding{{}}
	case 1:
		return []sym.Binding{{symbols[0]: 1}, {symbols[0]: 2}}
	}
	return nil
}

// places are, for each element of v, which element of src it is, if v is made of src by moves alone.
func places(v, src *ir.Value, b sym.Binding, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	if t, ok := memo[v]; ok {
		return t
	}
	memo[v] = nil
	if v == src {
		memo[v] = numbered(v, b, func(i int) int32 { return int32(i) })
		return memo[v]
	}
	if v.Def == nil || !isMove(v.Def) {
		return nil
	}
	in := make([]*ir.Tensor, len(v.Def.In))
	for i, x := range v.Def.In {
		if x.Const != nil && v.Def.Op == op.Gather {
			in[i] = x.Const
			continue
		}
		if v.Def.Op == op.Concat && op.AllZeros(x) {
			if in[i] = numbered(x, b, func(int) int32 { return -1 }); in[i] == nil {
				return nil
			}
			continue
		}
		if x.Const != nil {
			return nil
		}
		if in[i] = places(x, src, b, memo); in[i] == nil {
			return nil
		}
	}
	return computed(v, b, in, memo)
}

// numbered is a number for each element of a value, nil if they are too many: its place, or -1 for what is around an image.
func numbered(v *ir.Value, b sym.Binding, number func(i int) int32) *ir.Tensor {
	shape, err := ir.EvalShape(v.Shape, b)
	if err != nil || ir.NumElements(shape) > 1<<26 {
		return nil
	}
	t := ir.NewTensor(loop.I32, shape...)
	list := ir.Slice[int32](t)
	for i := range list {
		list[i] = number(i)
	}
	return t
}

// computed evaluates the node of a value of one output and remembers what it gives; nil if it cannot be evaluated.
func computed(v *ir.Value, b sym.Binding, in []*ir.Tensor, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	out, err := v.Def.Eval(b, in)
	if err != nil {
		return nil
	}
	memo[v] = out[0]
	return out[0]
}

// elements gives places as numbers; f32 elements hold them as bits.
func elements(v, src *ir.Value, b sym.Binding) []int32 {
	t := places(v, src, b, map[*ir.Value]*ir.Tensor{})
	if t == nil || t.Len() == 0 {
		return nil
	}
	return ir.Slice[int32](t)
}

// rootOf is the only value that v is made of by moves.
func rootOf(v *ir.Value) *ir.Value {
	if v.Def == nil || !isMove(v.Def) {
		return v
	}
	var root *ir.Value
	for i, x := range v.Def.In {
		if x.Const != nil && v.Def.Op == op.Gather && i == 1 || v.Def.Op == op.Concat && op.AllZeros(x) {
			continue
		}
		r := rootOf(x)
		if root != nil && r != root {
			return nil
		}
		root = r
	}
	return root
}

func allIn(n *ir.Node, set map[*ir.Value]bool) bool {
	for i, v := range n.In {
		if !set[v] && !(n.Op == op.Gather && i == 1) {
			return false
		}
	}
	return len(n.In) > 0
}

// constantUnder computes a value that depends on nothing but constants and the batch.
func constantUnder(v *ir.Value, b sym.Binding, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	if v.Const != nil {
		return v.Const
	}
	if t, ok := memo[v]; ok || v.Def == nil || len(memo) > 200 || len(v.Def.Out) != 1 || v.Def.Op.Body != nil {
		return t
	}
	memo[v] = nil
	if shape, err := ir.EvalShape(v.Shape, b); err != nil || ir.NumElements(shape) > 1<<24 {
		return nil
	}
	in := make([]*ir.Tensor, len(v.Def.In))
	for i, x := range v.Def.In {
		if x == nil {
			continue
		}
		if in[i] = constantUnder(x, b, memo); in[i] == nil {
			return nil
		}
	}
	return computed(v, b, in, memo)
}
