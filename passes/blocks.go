package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Blocks makes a concatenation of every second (third, …) element one transposition: it puts the elements of small blocks of an image next
// to each other, as Swin's patch merging (Liu et al., 2021) and YOLO's focus layers do. Who computes the image can then write it
// so, where four slices would be moved.
var Blocks = Rewrite("blocks", "makes concatenations of regular slices transpositions", Rule{"blocks", func() *ir.Op { return op.Concat }, blocks})

func blocks(c *Context, n *ir.Node) *ir.Patch {
	axis := int(n.Attr.(op.ConcatAttr).Axis)
	x, first := slicesOf(n.In[0])
	if x == nil || len(n.In) < 2 {
		return nil
	}
	b := &block{x: x, axis: axis, step: first.step}
	for i, v := range n.In {
		y, s := slicesOf(v)
		if y != x || !b.holds(v, s) {
			return nil
		}
		if i > 0 && !ir.SameShape(v.Shape, n.In[0].Shape) {
			return nil
		}
		b.starts = append(b.starts, s.start)
	}
	order := b.order()
	if order == nil {
		return c.Miss(n, "blocks", "the slices are not all of the blocks' elements, or in no regular order")
	}
	p := ir.NewPatch(n)
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(b.split())}, x)
	y = p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(b.perm(order)...)}, y)
	return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y))
}

// regular is a slice: where it begins along each axis, and the step.
type regular struct{ start, step []int64 }

// slicesOf is what v is slices of, one after another, with constant starts; nil if it is none.
func slicesOf(v *ir.Value) (*ir.Value, regular) {
	r := regular{make([]int64, len(v.Shape)), make([]int64, len(v.Shape))}
	for i := range r.step {
		r.step[i] = 1
	}
	of := (*ir.Value)(nil)
	for n := by(v, op.Slice); n != nil; n = by(of, op.Slice) {
		a := n.Attr.(op.SliceAttr)
		for i, s := range a.Starts.List() {
			at, ok := s.Const()
			if !ok {
				return nil, r
			}
			step := a.Steps.List()[i]
			r.start[i], r.step[i] = at+r.start[i]*step, r.step[i]*step
		}
		of = n.In[0]
	}
	return of, r
}

// block is an image cut into blocks: steps elements of each axis are one of them.
type block struct {
	x      *ir.Value
	axis   int
	step   []int64
	starts [][]int64
}

// holds reports whether v, a slice of the image, is one element of every block.
func (b *block) holds(v *ir.Value, s regular) bool {
	for i, step := range s.step {
		whole := b.x.Shape[i] == v.Shape[i].Mul(sym.Const(step))
		if step < 1 || step != b.step[i] || !whole || s.start[i] < 0 || s.start[i] >= step || i == b.axis && step > 1 {
			return false
		}
	}
	return true
}

// order is the axes that are cut, in the order in which the concatenation counts their elements, the slowest first; nil if there is none.
func (b *block) order() (axes []int) {
	total := 1
	for total < len(b.starts) {
		a := slices.Index(b.starts[total], 1)
		if a < 0 || slices.Contains(axes, a) {
			return nil
		}
		axes = append([]int{a}, axes...)
		total *= int(b.step[a])
	}
	if total != len(b.starts) || total != b.elements() || !b.counts(axes) {
		return nil
	}
	return axes
}

// elements is how many elements a block has.
func (b *block) elements() int {
	n := 1
	for _, step := range b.step {
		n *= int(step)
	}
	return n
}

// counts reports whether part k of the concatenation begins at the digits of k, of which the axes are given.
func (b *block) counts(axes []int) bool {
	for k, start := range b.starts {
		for i := len(axes) - 1; i >= 0; i-- {
			a := axes[i]
			if start[a] != int64(k)%b.step[a] {
				return false
			}
			k /= int(b.step[a])
		}
	}
	return true
}

// split is the image's shape with blocks and their elements as axes.
func (b *block) split() []sym.Dim {
	var shape []sym.Dim
	for i, d := range b.x.Shape {
		if b.step[i] == 1 {
			shape = append(shape, d)
			continue
		}
		part, _ := d.Div(sym.Const(b.step[i]))
		shape = append(shape, part, sym.Const(b.step[i]))
	}
	return shape
}

// perm puts the elements of blocks before the axis of the concatenation.
func (b *block) perm(order []int) []int64 {
	var perm []int64
	outer, inner := map[int]int64{}, map[int]int64{}
	at := int64(0)
	for i, step := range b.step {
		outer[i] = at
		at++
		if step > 1 {
			inner[i] = at
			at++
		}
	}
	for i := range b.step {
		if i == b.axis {
			for _, a := range order {
				perm = append(perm, inner[a])
			}
		}
		perm = append(perm, outer[i])
	}
	return perm
}
