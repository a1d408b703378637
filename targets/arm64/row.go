package arm64

import (
	"fmt"
	"math"
	"strings"

	"mmc/ir/loop"
)

// Row kernels. R0 … R9 the buffers, R10 elements left, R11 … R15 and R20, R21 for copies and tails, R19 the constants. A step of a
// loop is sixteen lanes in four parts of one register each. The last elements of a row are copied to the stack, worked on there
// and copied back, so that nothing is read or written past the buffers' ends.

const (
	maxBufs = 10
	parts   = 4
)

// rowEmitter prints one row kernel. Values live in vector registers, bools as lanes of ones or zeros.
type rowEmitter struct {
	*asm
	k     *loop.Kernel
	regs  map[loop.Val]int
	acc   map[loop.Val][parts]int
	free  []int
	last  map[loop.Val]int
	place map[int]int // slot on the stack of a buffer that a loop walks
	part  int
	tail  bool
	pos   int
	walk  *walk // of a walk kernel
	full  bool  // ran out of registers: the kernel is refused
}

// row prints a kernel; it reports false, printing nothing, if the registers do not suffice.
func (w *asm) row(name string, k *loop.Kernel) bool {
	if len(k.Bufs) > maxBufs {
		return false
	}
	inner := &asm{consts: w.consts, at: w.at, labels: w.labels}
	e := &rowEmitter{asm: inner, k: k, regs: map[loop.Val]int{}, acc: map[loop.Val][parts]int{}, last: k.LastUses(), place: map[int]int{}}
	e.freeAll()
	for i, b := range k.Bufs {
		if !b.Uniform {
			e.place[i] = len(e.place)
		}
	}
	e.kernel(name)
	w.consts, w.labels = inner.consts, inner.labels
	if e.full {
		return false
	}
	w.b.WriteString(inner.b.String())
	return true
}

func (e *rowEmitter) freeAll() {
	for i := 31; i >= 0; i-- {
		e.free = append(e.free, i)
	}
}

func (e *rowEmitter) take() int {
	if len(e.free) == 0 {
		e.full = true
		return 0
	}
	r := e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	return r
}

func (e *rowEmitter) drop(temps ...int) {
	for _, t := range temps {
		if t >= 0 {
			e.free = append(e.free, t)
		}
	}
}

func (e *rowEmitter) release(v loop.Val) {
	if r, ok := e.regs[v]; ok && !e.isShared(v) {
		delete(e.regs, v)
		e.drop(r)
	}
}

// header prints what a kernel does and how it begins.
func (e *rowEmitter) header(name, rows, params string, frame, bytes int) {
	e.text("// %s is %s on %s.\n// Requires: NEON\n", name, e.k.Name, rows)
	for _, line := range strings.Split(strings.TrimSpace(e.k.String()), "\n") {
		e.text("//\t%s\n", line)
	}
	e.text("//\n// func %s(%s)\nTEXT ·%s(SB), 0, $%d-%d\n", name, params, name, frame, bytes)
}

func (e *rowEmitter) kernel(name string) {
	e.header(name, "a row of n elements", "n int, p *rt.Ptrs", 64*len(e.place), 16)
	if e.usesConstants() {
		e.i("MOVD", "$consts<>(SB)", "R19")
	}
	e.loadBuffers()
	for i, s := range e.k.Stages {
		if s.Loop {
			e.loop(i, s)
		} else {
			for _, v := range s.Insts {
				e.inst(v)
				e.step(v)
			}
		}
		e.pos++
	}
	e.i("RET")
	e.text("\n")
}

// usesConstants reports whether an instruction needs one: as an operand, as a neutral element or within its own expansion.
func (e *rowEmitter) usesConstants() bool {
	for _, in := range e.k.Insts {
		if in.Code == loop.Const || in.Code == loop.Scale || in.Code == loop.CopySign || neutral[in.Code] != 0 {
			return true
		}
	}
	return false
}

func (e *rowEmitter) loadBuffers() {
	e.i("MOVD", "n+0(FP)", "R10")
	e.i("MOVD", "p+8(FP)", "R11")
	for i := range e.k.Bufs {
		e.i("MOVD", fmt.Sprintf("%d(R11)", i*8), fmt.Sprintf("R%d", i))
	}
}

// step frees the registers of operands that are not used again.
func (e *rowEmitter) step(v loop.Val) {
	for _, a := range e.k.Insts[v].Args {
		if a != loop.None && e.last[a] <= e.pos {
			e.release(a)
		}
	}
	if _, used := e.last[v]; !used {
		e.release(v)
	}
	e.pos++
}

// loop prints a stage over the row: whole groups of sixteen lanes, then the tail, then the reductions' trees.
func (e *rowEmitter) loop(index int, s loop.Stage) {
	for _, v := range s.Insts {
		if e.k.Insts[v].Code.Reduction() {
			e.startReduction(v)
		}
	}
	loads, stores := e.walked(s)
	main, rest, end := fmt.Sprintf("main%d", index), fmt.Sprintf("rest%d", index), fmt.Sprintf("end%d", index)
	e.i("SUBS", "$16", "R10", "R10")
	e.i("BLT", rest)
	e.label(main)
	e.body(s, "")
	for _, b := range union(loads, stores) {
		e.i("ADD", "$64", fmt.Sprintf("R%d", b))
	}
	e.i("SUBS", "$16", "R10", "R10")
	e.i("BGE", main)
	e.label(rest)
	e.i("ADDS", "$16", "R10", "R10")
	e.i("BEQ", end)
	e.tailIn(loads)
	stop := e.fresh("last")
	e.body(s, stop)
	e.label(stop)
	for _, b := range stores {
		e.i("MOVD", e.slot(b), "R12")
		e.copyWords("R12", fmt.Sprintf("R%d", b), "R10")
	}
	e.label(end)
	e.pos += len(s.Insts)
	if index < len(e.k.Stages)-1 {
		e.loadBuffers()
	}
	e.finishLoop(s)
}

func (e *rowEmitter) finishLoop(s loop.Stage) {
	for v := range loop.Val(len(e.k.Insts)) {
		if e.last[v] <= e.pos {
			e.release(v)
		}
	}
	for _, v := range s.Insts {
		if e.k.Insts[v].Code.Reduction() {
			e.tree(v)
		}
	}
}

// walked lists the buffers that a loop loads from and stores to element by element.
func (e *rowEmitter) walked(s loop.Stage) (loads, stores []int) {
	for _, v := range s.Insts {
		in := e.k.Insts[v]
		if in.Code != loop.Load && in.Code != loop.Store || e.k.Bufs[in.Buf].Uniform {
			continue
		}
		if in.Code == loop.Load {
			loads = union(loads, []int{in.Buf})
		} else {
			stores = union(stores, []int{in.Buf})
		}
	}
	return loads, stores
}

func union(a, b []int) []int {
	out := append([]int{}, a...)
	for _, x := range b {
		found := false
		for _, y := range a {
			found = found || x == y
		}
		if !found {
			out = append(out, x)
		}
	}
	return out
}

// slot is the address of a buffer's sixteen elements on the stack.
func (e *rowEmitter) slot(buf int) string {
	return fmt.Sprintf("$tail%d-%d(SP)", buf, 64*(e.place[buf]+1))
}

// tailIn copies the R10 elements that are left to the stack, and points R14 at the lanes' mask.
func (e *rowEmitter) tailIn(loads []int) {
	for _, b := range loads {
		e.i("MOVD", fmt.Sprintf("R%d", b), "R13")
		e.i("MOVD", e.slot(b), "R12")
		e.copyWords("R13", "R12", "R10")
	}
	e.i("MOVD", "$lanes<>+64(SB)", "R14")
	e.i("SUB", "R10<<2", "R14", "R14")
}

// body prints the loop's instructions for each part; in a tail it leaves for stop when no elements are left. Registers are the same
// afterwards.
func (e *rowEmitter) body(s loop.Stage, stop string) {
	e.tail = stop != ""
	for p := range parts {
		e.part = p
		if e.tail && p > 0 {
			e.i("CMP", fmt.Sprintf("$%d", 4*p), "R10")
			e.i("BLE", stop)
		}
		pos, free, keep := e.pos, append([]int{}, e.free...), map[loop.Val]int{}
		for v, r := range e.regs {
			keep[v] = r
		}
		for _, v := range s.Insts {
			e.inst(v)
			e.step(v)
		}
		e.pos, e.free, e.regs = pos, free, keep
	}
	e.tail, e.part = false, 0
}

// addr is the place of the current lanes in a buffer.
func (e *rowEmitter) addr(buf int) string {
	switch {
	case e.k.Bufs[buf].Uniform:
		return fmt.Sprintf("(R%d)", buf)
	case e.tail:
		return fmt.Sprintf("tail%d-%d(SP)", buf, 64*(e.place[buf]+1)-16*e.part)
	}
	return fmt.Sprintf("%d(R%d)", 16*e.part, buf)
}

// reg is the register of a value; a constant is loaded into a fresh one, which the caller gives back (temp).
func (e *rowEmitter) reg(v loop.Val) (r, temp int) {
	if e.k.Insts[v].Code != loop.Const {
		return e.regs[v], -1
	}
	r = e.take()
	e.load(math.Float32bits(float32(e.k.Insts[v].Imm)), r)
	return r, r
}

func (e *rowEmitter) load(bits uint32, to int) {
	e.i("FMOVQ", fmt.Sprintf("%d(R19)", e.constant(bits)), fmt.Sprintf("F%d", to))
}
