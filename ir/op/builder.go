package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// builder emits nodes until one fails; then it does nothing.
type builder struct {
	c   *ir.Import
	err error
}

func (b *builder) do(o *ir.Op, attr any, in ...*ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, err := b.c.Emit1(o, attr, in...)
	b.err = err
	return v
}

func (b *builder) reshape(v *ir.Value, shape []sym.Dim) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = reshape(b.c, v, shape)
	return v
}

// part is count elements of the last axis from start on.
func (b *builder) part(v *ir.Value, start, count, step int64) *ir.Value {
	if !b.hasAxis(v, 0) {
		return nil
	}
	return b.do(Slice, alongAxis(v.Shape, len(v.Shape)-1, sym.Const(start), sym.Const(count), step), v)
}

// all is do for an operator of several outputs.
func (b *builder) all(o *ir.Op, attr any, in ...*ir.Value) []*ir.Value {
	if b.err != nil {
		return make([]*ir.Value, max(1, o.NumOut))
	}
	vs, err := b.c.Emit(o, attr, in...)
	if b.err = err; err != nil {
		return make([]*ir.Value, max(1, o.NumOut))
	}
	return append([]*ir.Value{}, vs...) // callers write into the list
}

// need is input i of the node being read.
func (b *builder) need(i int) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, err := b.c.Need(i)
	b.err = err
	return v
}

// needFirst are the inputs of the node being read, of which the first n must be there.
func (b *builder) needFirst(n int) []*ir.Value {
	for i := range n {
		b.need(i)
	}
	return b.c.Inputs
}

func (b *builder) cast(v *ir.Value, to loop.Elem) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = cast(b.c, v, to)
	return v
}

func (b *builder) transpose(v *ir.Value, perm ...int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = transpose(b.c, v, perm...)
	return v
}

func (b *builder) expand(v *ir.Value, to []sym.Dim) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = expand(b.c, v, to)
	return v
}

func (b *builder) reduce(v *ir.Value, kind string, keep bool, axes ...int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = reduceAxes(b.c, v, axes, kind, keep)
	return v
}

// slice takes count elements of an axis from start on.
func (b *builder) slice(v *ir.Value, axis int, start, count sym.Dim) *ir.Value {
	if !b.hasAxis(v, axis) {
		return nil
	}
	at := alongAxis(v.Shape, axis, start, count, 1)
	v, b.err = slice(b.c, v, at.Starts.List(), at.Sizes.List(), at.Steps.List())
	return v
}

// hasAxis fails unless v has that axis.
func (b *builder) hasAxis(v *ir.Value, axis int) bool {
	if b.err == nil && axis >= len(v.Shape) {
		b.err = fmt.Errorf("an operand of shape %v, which has no axis %d", v.Shape, axis)
	}
	return b.err == nil
}

func (b *builder) concat(axis int, parts ...*ir.Value) *ir.Value {
	if len(parts) == 1 || b.err != nil {
		return parts[0]
	}
	return b.do(Concat, ConcatAttr{int64(axis)}, parts...)
}

func (b *builder) add(x, y *ir.Value) *ir.Value { return b.do(Add, nil, x, y) }
func (b *builder) sub(x, y *ir.Value) *ir.Value { return b.do(Sub, nil, x, y) }
func (b *builder) mul(x, y *ir.Value) *ir.Value { return b.do(Mul, nil, x, y) }
func (b *builder) div(x, y *ir.Value) *ir.Value { return b.do(Div, nil, x, y) }

// like is a scalar in the type of v.
func (b *builder) like(v *ir.Value, x float64) *ir.Value {
	if b.err != nil {
		return nil
	}
	return ir.Scalar(v.Elem, x)
}

// done names the node's outputs.
func (b *builder) done(vs ...*ir.Value) error {
	if b.err != nil {
		return b.err
	}
	return b.c.Return(vs, nil)
}

// dims is a shape made of numbers and dims.
func dims(ds ...any) []sym.Dim {
	var out []sym.Dim
	for _, d := range ds {
		switch d := d.(type) {
		case int:
			out = append(out, sym.Const(int64(d)))
		case int64:
			out = append(out, sym.Const(d))
		case sym.Dim:
			out = append(out, d)
		case []sym.Dim:
			out = append(out, d...)
		}
	}
	return out
}

// column is the shape that broadcasts one value a channel over the axes behind the channels: [n, 1, 1, …].
func column(n sym.Dim, behind int) []sym.Dim {
	shape := []sym.Dim{n}
	for range behind {
		shape = append(shape, sym.Const(1))
	}
	return shape
}
