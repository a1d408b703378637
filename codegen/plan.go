package codegen

import (
	"fmt"
	"sort"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime"
)

// Space is where memory lies.
type Space int

const (
	Slot   Space = iota // in the arena
	Weight              // in the weights
	Input               // a caller's slice
)

// Mem is an address: a slot, weight or input number and an offset in bytes. For weights, Index is the number of the constant
// until the weights are laid out; then it is the offset.
type Mem struct {
	Space Space
	Index int
	Off   sym.Dim
}

// Expr is an argument of a call: exactly one field is set.
type Expr struct {
	Mem  *Mem
	Dim  *sym.Dim
	Int  *int
	Text string // Go source that depends on nothing
	Type string // of a composite: "rt.View", "[8]int"
	List []Field
}

// Field is a named argument; Name is empty in arrays.
type Field struct {
	Name string
	Val  Expr
}

// Call is one step: a driver of the runtime and its arguments.
type Call struct {
	Method string
	Type   string // of the struct the driver takes; empty if it takes plain arguments
	Args   []Field
	From   []string
	Kind   string
	Flops  sym.Dim
	Count  string // the symbol that takes the result of a function of package plain
}

// Buffer is a value's place in the arena until slots are assigned.
type Buffer struct {
	Bytes       sym.Dim
	first, last int // the calls that use it
	slot        int
	output      bool
	own         bool // shares its slot with no other
}

// Repeat is a run of equal layers: Count times the Period calls from Start on.
type Repeat struct{ Start, Period, Count int }

// Plan is a program ready to be printed.
type Plan struct {
	Graph   *ir.Graph
	Symbols []string
	Counts  []ir.Count     // of the symbols, the last ones: their values are found while the program runs
	Kernels []*loop.Kernel // of rows
	Walks   []*loop.Kernel
	Calls   []Call
	Buffers []*Buffer
	Slots   []sym.Dim // sizes in bytes
	Outputs []Mem
	Consts  []Const
	Repeats []Repeat

	decoding *decoding // nil if the program is no decoder
}

// Const is a constant in the weights.
type Const struct {
	T      *ir.Tensor
	Pack   Packing
	Form   rt.Coded // of CodedPanels
	Offset int64
}

// Packing is how a constant is laid out.
type Packing int

const (
	Plain       Packing = iota // as the tensor is
	Panels                     // for a Linear
	BytePanels                 // for a Bytes
	CodedPanels                // for a Linear, as Form says
)

// Arena is the size of the arena as a formula: the sum of the slots.
func (p *Plan) Arena() sym.Dim {
	sum := sym.Const(0)
	for _, s := range p.Slots {
		sum = sum.Add(s)
	}
	return sum
}

// Flops is the number of floating-point operations of the contractions.
func (p *Plan) Flops() sym.Dim {
	sum := sym.Const(0)
	for _, c := range p.Calls {
		sum = sum.Add(c.Flops)
	}
	return sum
}

func mem(m Mem) Expr                 { return Expr{Mem: &m} }
func dim(d sym.Dim) Expr             { return Expr{Dim: &d} }
func num(n int) Expr                 { return Expr{Int: &n} }
func text(s string) Expr             { return Expr{Text: s} }
func (c *Call) arg(n string, e Expr) { c.Args = append(c.Args, Field{n, e}) }

// walk calls f for every Mem of an expression.
func (e *Expr) walk(f func(*Mem)) {
	if e.Mem != nil {
		f(e.Mem)
	}
	for i := range e.List {
		e.List[i].Val.walk(f)
	}
}

func (c *Call) walk(f func(*Mem)) {
	for i := range c.Args {
		c.Args[i].Val.walk(f)
	}
}

// shape is a text that two calls share if they differ in addresses alone.
func (c *Call) shape() string {
	var b strings.Builder
	b.WriteString(c.Method + c.Count)
	for _, a := range c.Args {
		a.Val.shapeText(&b)
	}
	return b.String()
}

func (e *Expr) shapeText(b *strings.Builder) {
	switch {
	case e.Mem != nil:
		fmt.Fprintf(b, " @%d+%v", e.Mem.Space, e.Mem.Off)
	case e.Dim != nil:
		fmt.Fprintf(b, " %v", *e.Dim)
	case e.Int != nil:
		fmt.Fprintf(b, " %d", *e.Int)
	default:
		b.WriteString(" " + e.Text + e.Type)
		for _, f := range e.List {
			f.Val.shapeText(b)
		}
	}
}

// assignSlots gives buffers that do not live at the same time one slot, if their sizes are equal or comparable.
func (p *Plan) assignSlots() {
	for i := range p.Buffers {
		p.Buffers[i].first = len(p.Calls)
	}
	for i := range p.Calls {
		p.Calls[i].walk(func(m *Mem) {
			if m.Space == Slot {
				b := p.Buffers[m.Index]
				b.first, b.last = min(b.first, i), max(b.last, i)
			}
		})
	}
	for _, m := range p.Outputs {
		if m.Space == Slot {
			p.Buffers[m.Index].output = true
		}
	}
	p.keepInLoops()
	order := make([]*Buffer, len(p.Buffers))
	copy(order, p.Buffers)
	sort.SliceStable(order, func(i, j int) bool { return order[i].first < order[j].first })
	free := []int{} // for each slot, the last call that uses it
	for _, b := range order {
		if b.first == len(p.Calls) && !b.output {
			continue // a place that nobody took
		}
		b.slot = p.pickSlot(b, free)
		if b.slot == len(free) {
			free = append(free, 0)
			p.Slots = append(p.Slots, b.Bytes)
		}
		p.Slots[b.slot] = p.Slots[b.slot].Max(b.Bytes)
		free[b.slot] = b.last
		if b.output {
			free[b.slot] = len(p.Calls) + 1
		}
	}
	rename := func(m *Mem) {
		if m.Space == Slot {
			m.Index = p.Buffers[m.Index].slot
		}
	}
	for i := range p.Calls {
		p.Calls[i].walk(rename)
	}
	for i := range p.Outputs {
		rename(&p.Outputs[i])
	}
}

// pickSlot prefers a free slot of the same size, then one that is surely larger, then one that is surely smaller.
func (p *Plan) pickSlot(b *Buffer, free []int) int {
	if b.own {
		return len(free)
	}
	larger, smaller := -1, -1
	for i, last := range free {
		if last >= b.first {
			continue
		}
		switch {
		case p.Slots[i] == b.Bytes:
			return i
		case b.Bytes.LessEq(p.Slots[i]) == sym.True && larger < 0:
			larger = i
		case p.Slots[i].LessEq(b.Bytes) == sym.True && smaller < 0:
			smaller = i
		}
	}
	if larger >= 0 {
		return larger
	}
	if smaller >= 0 {
		return smaller
	}
	return len(free)
}

// maxPeriod is the most calls of one repeated layer.
const maxPeriod = 400

// findRepeats looks for runs of equal layers, the longest first.
func (p *Plan) findRepeats() {
	shapes := make([]string, len(p.Calls))
	for i := range p.Calls {
		shapes[i] = p.Calls[i].shape()
	}
	taken := make([]bool, len(shapes))
	for i, c := range p.Calls {
		taken[i] = c.Method == loopBegins || c.Method == loopEnds
	}
	for {
		best := Repeat{}
		for period := 1; period <= min(maxPeriod, len(shapes)/2); period++ {
			run := 0
			for i := 0; i+period < len(shapes); i++ {
				if shapes[i] == shapes[i+period] && !taken[i] && !taken[i+period] {
					run++
				} else {
					run = 0
				}
				if n := run / period; n > 0 && n*period > (best.Count-1)*best.Period {
					best = Repeat{Start: i + 1 - run, Period: period, Count: n + 1}
				}
			}
		}
		if best.Count == 0 || (best.Count-1)*best.Period < 4 {
			break
		}
		for i := range best.Count * best.Period {
			taken[best.Start+i] = true
		}
		p.Repeats = append(p.Repeats, best)
	}
	sort.Slice(p.Repeats, func(i, j int) bool { return p.Repeats[i].Start < p.Repeats[j].Start })
}

// String is the plan as text, one call a line.
func (p *Plan) String() string {
	var b strings.Builder
	for i, s := range p.Slots {
		fmt.Fprintf(&b, "slot %d: %v bytes\n", i, s)
	}
	for _, r := range p.Repeats {
		fmt.Fprintf(&b, "repeat %d calls from %d on, %d times\n", r.Period, r.Start, r.Count)
	}
	for i := range p.Calls {
		fmt.Fprintf(&b, "%d:%s\n", i, p.Calls[i].shape())
	}
	return b.String()
}
