package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Window attention within images of open size.

// mostSample is the greatest size that is looked at.
const mostSample = 1024

// sizes finds the image that the layers' inputs are rows of, and sizes to look at: two numbers of images of one size or, where an image's size
// is open, images of a few sizes that the program takes.
func (w *windowed) sizes() bool {
	l := w.lins[0]
	if w.image = rootOf(l.In[0]); w.image == nil || len(w.image.Shape) < 2 {
		return false
	}
	shape := w.image.Shape
	for _, v := range append([]*ir.Value{w.n.Out[0], l.Out[0]}, w.n.In[:3]...) {
		shape = append(shape[:len(shape):len(shape)], v.Shape...)
	}
	symbols := sym.Product(shape).Symbols()
	if len(symbols) == 1 {
		w.batch = symbols[0]
	}
	if w.list = bindings(shape); w.list != nil {
		return true
	}
	w.open, w.batch = true, w.image.Shape[0].String()
	i := slices.Index(symbols, w.batch)
	if i < 0 {
		return false
	}
	w.list = w.samples(slices.Delete(symbols, i, i+1))
	return w.list != nil
}

// samples are images of two sizes and both ways between them, one and two at a time.
func (w *windowed) samples(symbols []string) []sym.Binding {
	rules := map[ir.Require]bool{}
	for _, r := range w.c.Graph.Requires {
		rules[ir.Require{Small: r.Small, Large: r.Large}] = true
	}
	var sizes []int64
	for n := int64(1); n <= mostSample && len(sizes) < 2; n++ {
		b := sym.Binding{w.batch: 1}
		for _, s := range symbols {
			b[s] = n
		}
		shape, err := ir.EvalShape(w.image.Shape, b)
		if err == nil && ir.NumElements(shape[:len(shape)-1]) > 2*w.m && holds(rules, b) {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) < 2 {
		return nil
	}
	var list []sym.Binding
	for i := range 3 {
		b := sym.Binding{w.batch: int64(1 + i%2)}
		for k, s := range symbols {
			if b[s] = sizes[0]; i > 0 {
				b[s] = sizes[(k+i)%2]
			}
		}
		if holds(rules, b) {
			list = append(list, b)
		}
	}
	return list
}

// holds reports whether sizes are such that a program takes them.
func holds(rules map[ir.Require]bool, b sym.Binding) bool {
	for r := range rules {
		small, err1 := r.Small.Eval(b)
		large, err2 := r.Large.Eval(b)
		if err1 == nil && err2 == nil && small > large {
			return false
		}
	}
	return true
}

// table is the table of windows: a constant or, where the size of an image is open, what the moves of the image make of the numbers of its rows.
func (w *windowed) table(p *ir.Patch) *ir.Value {
	if !w.open {
		table := w.tables[0]
		return ir.ConstValue("", ir.Ints(table, int64(len(table))/w.m, w.m))
	}
	t := &tabled{w: w, p: p, of: map[*ir.Value]*ir.Value{}}
	v := t.numbers(w.lins[0].In[0])
	if v == nil {
		return nil
	}
	windows, ok := sym.Product(v.Shape).Div(sym.Const(w.m))
	if !ok {
		return nil
	}
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{windows, sym.Const(w.m)})}, v)
}

// tabled repeats the moves of an image's rows on their numbers, a column of one image.
type tabled struct {
	w  *windowed
	p  *ir.Patch
	of map[*ir.Value]*ir.Value
}

// numbers are those of the rows that v holds, or nil if a move takes the columns of a row apart.
func (t *tabled) numbers(v *ir.Value) *ir.Value {
	if made, ok := t.of[v]; ok {
		return made
	}
	to := t.column(v)
	if v == t.w.image {
		n := sym.Product(to)
		count := t.p.Emit1(op.Iota, op.IotaAttr{Start: one(sym.Const(0)), Step: one(sym.Const(1)), N: one(n), To: loop.I64})
		t.of[v] = t.p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(to)}, count)
		return t.of[v]
	}
	last := len(v.Shape) - 1
	if to == nil || v.Def == nil || t.column(v.Def.In[0]) == nil {
		return nil
	}
	var in []*ir.Value
	for _, x := range v.Def.In {
		made := t.filled(v, x)
		if made == nil {
			made = t.numbers(x)
		}
		if made == nil {
			return nil
		}
		in = append(in, made)
	}
	switch a := v.Def.Attr.(type) {
	case op.ReshapeAttr:
		t.of[v] = t.p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(to)}, in...)
	case op.TransposeAttr:
		if a.Perm.List()[last] == int64(last) {
			t.of[v] = t.p.Emit1(op.Transpose, a, in...)
		}
	case op.SliceAttr:
		if starts := a.Starts.List(); starts[last].Is(0) && starts[0].Is(0) && a.Steps.List()[last] == 1 {
			t.of[v] = t.p.Emit1(op.Slice, op.SliceAttr{Starts: ir.MakeDims(t.single(starts)), Sizes: ir.MakeDims(to), Steps: a.Steps}, in...)
		}
	case op.ConcatAttr:
		if a.Axis != int64(last) {
			t.of[v] = t.p.Emit1(op.Concat, a, in...)
		}
	}
	return t.of[v]
}

// filled is -1 for what a concatenation puts around the image; nil if x is something else.
func (t *tabled) filled(v, x *ir.Value) *ir.Value {
	if v.Def.Op != op.Concat || !op.AllZeros(x) {
		return nil
	}
	if to := t.column(x); to != nil {
		return t.p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(to)}, ir.Scalar(loop.I64, -1))
	}
	return nil
}

// column is the shape of a value's first column for one image; nil if its last axis is not that of the image.
func (t *tabled) column(v *ir.Value) []sym.Dim {
	last := len(v.Shape) - 1
	if last < 1 || v.Shape[last] != t.w.image.Shape[len(t.w.image.Shape)-1] {
		return nil
	}
	return append(t.single(v.Shape[:last]), sym.Const(1))
}

// single are sizes for one image.
func (t *tabled) single(dims []sym.Dim) []sym.Dim {
	out := make([]sym.Dim, len(dims))
	for i, d := range dims {
		out[i] = d.Subst(map[string]sym.Dim{t.w.batch: sym.Const(1)})
	}
	return out
}

// filledUp reports whether moves put something around what they move.
func filledUp(v *ir.Value) bool {
	if op.AllZeros(v) {
		return true
	}
	return v.Def != nil && isMove(v.Def) && slices.ContainsFunc(v.Def.In, filledUp)
}

func one(d sym.Dim) ir.DimList { return ir.MakeDims([]sym.Dim{d}) }
