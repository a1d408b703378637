package codegen

import (
	"bytes"
	"maps"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// maxInputs is the most operands of a fused elementwise kernel; the assembly targets have registers for ten buffers in all. maxJoined is the
// most nodes, which bounds its code.
const (
	maxInputs = 9
	maxJoined = 64
)

// inlined reports whether an elementwise node is computed inside its only reader.
func (l *lowering) inlined(n *ir.Node) bool { return l.within[n] }

// joinElementwise decides which elementwise nodes are computed inside their only reader: those of the same shape and the same kind of
// elements, as long as the kernel has few enough operands. Constants of one element stand in the kernel and are none.
func (l *lowering) joinElementwise() {
	trees := map[*ir.Node]*joinedTree{}
	for _, u := range l.g.Nodes {
		if u.Op.Elem == nil {
			continue
		}
		t, parts := &joinedTree{map[*ir.Value]bool{}, 1}, []*ir.Node{}
		for _, v := range u.In {
			switch {
			case inKernel(v):
			case v.Def != nil && v.Def.Op.Elem != nil && l.onlyReader(v) == u && ir.SameShape(u.Out[0].Shape, v.Shape) && allF32(u) == allF32(v.Def):
				parts = append(parts, v.Def)
			default:
				t.operands[v] = true
			}
		}
		for i, n := range parts {
			if more := len(parts) - 1 - i; l.within[n] || t.join(trees[n], maxInputs-more) {
				l.within[n] = true
			} else {
				t.operands[n.Out[0]] = true
			}
		}
		trees[u] = t
	}
}

// joinedTree is an elementwise kernel to be: its operands, and how many nodes it computes.
type joinedTree struct {
	operands map[*ir.Value]bool
	nodes    int
}

// join takes another tree in if that leaves at most so many operands.
func (t *joinedTree) join(o *joinedTree, most int) bool {
	count := len(t.operands)
	for v := range o.operands {
		if !t.operands[v] {
			count++
		}
	}
	if count > most || t.nodes+o.nodes > maxJoined {
		return false
	}
	maps.Copy(t.operands, o.operands)
	t.nodes += o.nodes
	return true
}

func allF32(n *ir.Node) bool {
	for _, v := range append(append([]*ir.Value{}, n.In...), n.Out...) {
		if v.Elem != loop.F32 {
			return false
		}
	}
	return true
}

// tree is a fused elementwise kernel being built.
type tree struct {
	l    *lowering
	root *ir.Node
	b    *loop.Builder
	bufs []view
	vals []*ir.Value
	slot map[*ir.Value]int
	out  int
}

func (l *lowering) lowerElem(n *ir.Node) {
	t := &tree{l: l, root: n, b: loop.NewBuilder(n.Op.Name), slot: map[*ir.Value]int{}}
	t.collect(n)
	out := n.Out[0]
	t.out = t.b.Buffer(loop.Buf{Elem: out.Elem, Out: true})
	t.b.Loop(func() { t.b.Store(t.out, t.value(n)) })
	t.bufs = append(t.bufs, l.place(out, func(w view) bool { return ir.SameShape(w.shape, out.Shape) && w.inRows() }))
	t.vals = append(t.vals, out)
	shape, bufs := trim(out.Shape, t.bufs)
	shape, bufs = t.widened(shape, bufs)
	for i := range bufs {
		bufs[i].strides = bytesOf(bufs[i].strides, t.vals[i].Elem.Size())
	}
	l.emitRows(n.Op.Name, l.kernel(t.b.Kernel()), shape, bufs, false)
}

// A place of fewer elements than shortRow is a row that costs more to begin than to do; rows of at most longRow are made of several, if
// constants of a place are repeated for them.
const (
	shortRow = 64
	longRow  = 256
)

// widened makes longer rows of places that follow each other.
func (t *tree) widened(shape []sym.Dim, bufs []view) ([]sym.Dim, []view) {
	last := len(shape) - 1
	if last < 1 {
		return shape, bufs
	}
	width, ok1 := shape[last].Const()
	places, ok2 := shape[last-1].Const()
	if !ok1 || !ok2 || width < 1 || width >= shortRow {
		return shape, bufs
	}
	var again []int // buffers that are the same at every place
	for i, w := range bufs {
		each, next := w.strides[last], w.strides[last-1]
		switch v := t.vals[i]; {
		case each.Is(1) && next.Is(width), each.Is(0) && next.Is(0):
		case each.Is(1) && next.Is(0) && v.Const != nil && int64(v.Const.Len()) == width:
			again = append(again, i)
		default:
			return shape, bufs
		}
	}
	times := greatestDivisor(places, longRow/width)
	if times == 1 || len(again) == 0 { // without constants they are one row anyway
		return shape, bufs
	}
	for _, i := range again {
		bufs[i].mem = t.l.buffer(repeatedConst(t.vals[i], int(times)))
	}
	for _, w := range bufs {
		w.strides[last-1] = w.strides[last-1].Mul(sym.Const(times))
	}
	shape[last-1], shape[last] = sym.Const(places/times), sym.Const(width*times)
	return shape, bufs
}

// greatestDivisor is that of n that is no more than most; 1 if n is 0.
func greatestDivisor(n, most int64) int64 {
	for d := min(n, most); d > 1; d-- {
		if n%d == 0 {
			return d
		}
	}
	return 1
}

// repeatedConst is a constant so many times.
func repeatedConst(v *ir.Value, times int) *ir.Value {
	return ir.ConstValue(v.Name, &ir.Tensor{Elem: v.Elem, Shape: []int64{int64(v.Const.Len() * times)}, Data: bytes.Repeat(v.Const.Data, times)})
}

// collect gives every operand of the tree a buffer.
func (t *tree) collect(n *ir.Node) {
	for _, v := range n.In {
		if _, done := t.slot[v]; done {
			continue
		}
		if t.inside(v) {
			t.collect(v.Def)
			continue
		}
		if inKernel(v) {
			continue
		}
		w, uniform := t.operand(v)
		t.slot[v] = t.b.Buffer(loop.Buf{Elem: v.Elem, Uniform: uniform})
		t.bufs, t.vals = append(t.bufs, w), append(t.vals, v)
	}
}

func (t *tree) inside(v *ir.Value) bool { return v.Def != nil && t.l.inlined(v.Def) }

// inKernel reports whether a constant stands in the kernel itself.
func inKernel(v *ir.Value) bool { return v.Const != nil && v.Const.Len() == 1 && len(v.Shape) <= 1 }

// operand is a view of v broadcast to the tree's shape, contiguous or uniform along the last axis that is kept.
func (t *tree) operand(v *ir.Value) (view, bool) {
	shape := t.root.Out[0].Shape
	last := lastAxis(shape)
	if last < 0 {
		return t.l.view(v).broadcast(shape), false
	}
	w := t.l.view(v).broadcast(shape)
	switch st := w.strides[last]; {
	case st.Is(0):
		return w, true
	case st.Is(1):
		return w, false
	}
	return contiguous(t.l.buffer(v), v.Shape).broadcast(shape), false
}

func lastAxis(shape []sym.Dim) int {
	for i := len(shape) - 1; i >= 0; i-- {
		if !shape[i].Is(1) {
			return i
		}
	}
	return -1
}

func (t *tree) value(n *ir.Node) loop.Val {
	args := make([]loop.Val, len(n.In))
	for i, v := range n.In {
		switch slot, ok := t.slot[v]; {
		case ok:
			args[i] = t.b.Load(slot)
		case t.inside(v):
			args[i] = t.value(v.Def)
		default:
			s := v.Const.At(0)
			args[i] = t.b.C(v.Elem, s.F, s.I)
		}
	}
	return n.Op.Elem(t.b, n, args)
}
