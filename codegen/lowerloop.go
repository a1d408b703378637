package codegen

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Calls that begin and end a loop in the program; what is between them is run again and again.
const (
	loopBegins = "loop"
	loopEnds   = "end"
)

// lowerLoop lays a loop's body between two marks. The states live where the loop's results do: the first ones are moved there, and the new
// ones at the end of each iteration.
func (l *lowering) lowerLoop(n *ir.Node) error {
	a, outer, first := n.Attr.(op.LoopAttr), l.g, len(l.p.Calls)
	states := int(a.States)
	for i, v := range a.Body.Inputs {
		w := l.view(n.In[i])
		switch {
		case i < states:
			to := contiguous(l.define(n.Out[i]), v.Shape)
			l.emitMove(v, w, to)
			w = to
		case !w.isContiguous() && !l.sliced(v):
			w = contiguous(l.buffer(n.In[i]), v.Shape) // once, not in each iteration
		}
		l.views[v] = w
	}
	for _, v := range n.Out[states:] {
		l.define(v)
	}
	c := Call{Method: loopBegins, Kind: "loop"}
	c.arg("", text(a.Var))
	c.arg("", dim(a.Trips.List()[0]))
	if a.While {
		c.arg("", mem(l.views[n.Out[0]].mem))
	}
	l.emit(c)
	l.g = a.Body
	if err := l.lowerNodes(); err != nil {
		return err
	}
	l.g, l.node = outer, n
	l.pass(n, a)
	l.emit(Call{Method: loopEnds})
	trips := a.Trips.List()[0]
	for i := first; i < len(l.p.Calls); i++ {
		l.p.Calls[i].Flops = l.p.Calls[i].Flops.Mul(trips)
	}
	return nil
}

// sliced reports whether a value is read in slices alone.
func (l *lowering) sliced(v *ir.Value) bool {
	for _, u := range l.users[v] {
		if u.Op != op.Slice {
			return false
		}
	}
	return !l.outputs[v]
}

// pass moves what an iteration made: what is collected to its place, and the new states to where the next iteration reads them. Those that
// lie among the old states go elsewhere first.
func (l *lowering) pass(n *ir.Node, a op.LoopAttr) {
	states := int(a.States)
	at := sym.Sym(a.Var)
	for k, v := range a.Body.Outputs[states:] {
		to := l.views[n.Out[states+k]]
		part := view{to.shifted(at.Mul(to.strides[0]), v.Elem.Size()), v.Shape, to.strides[1:]}
		l.emitMove(v, l.view(v), part)
	}
	old := map[Mem]bool{}
	for _, v := range n.Out[:states] {
		old[Mem{Slot, l.views[v].mem.Index, sym.Const(0)}] = true
	}
	from := make([]view, states)
	for k, v := range a.Body.Outputs[:states] {
		from[k] = l.view(v)
		m := from[k].mem
		if from[k].is(l.views[n.Out[k]]) || m.Space != Slot || !old[Mem{Slot, m.Index, sym.Const(0)}] {
			continue
		}
		to := contiguous(l.alloc(v), v.Shape)
		l.emitMove(v, from[k], to)
		from[k] = to
	}
	for k, v := range a.Body.Outputs[:states] {
		if to := l.views[n.Out[k]]; !from[k].is(to) {
			l.emitMove(v, from[k], to)
		}
	}
}

// loops are the calls that begin loops with those that end them, inner ones first.
func (p *Plan) loops() (list [][2]int) {
	var open []int
	for i, c := range p.Calls {
		switch c.Method {
		case loopBegins:
			open = append(open, i)
		case loopEnds:
			list = append(list, [2]int{open[len(open)-1], i})
			open = open[:len(open)-1]
		}
	}
	return list
}

// keepInLoops makes a buffer that a loop finds or leaves live as long as the loop.
func (p *Plan) keepInLoops() {
	for _, r := range p.loops() {
		for _, b := range p.Buffers {
			if b.first < r[0] && b.last > r[0] {
				b.last = max(b.last, r[1])
			}
			if b.first > r[0] && b.first < r[1] && (b.last > r[1] || b.output) {
				b.first = r[0]
			}
		}
	}
}

// mark prints the begin or the end of a loop; nothing else does.
func (w *writer) mark(c *Call) bool {
	switch c.Method {
	case loopEnds:
		w.f("}\n")
	case loopBegins:
		v := c.Args[0].Val.Text
		w.f("for %s := range %s {\n_ = %s\n", v, goDim(*c.Args[1].Val.Dim), v)
		if len(c.Args) > 2 {
			m := c.Args[2].Val.Mem
			w.f("if !s.Holds(%s) {\nbreak\n}\n", address(m, fmt.Sprint(m.Index)))
		}
	default:
		return false
	}
	return true
}
