package amd64

import (
	"fmt"

	"mmc/codegen"
	"mmc/ir/loop"
)

// Walk kernels. DI is the walk, R15 the bytes before the current lanes in a row, CX the lanes left, SI the places left, DX and BX the
// bytes before the current lanes in buffers that walk (read, written), R8 and R9 one and three times how far the former walk, R10 and R11
// the latter, AX and R12 the address of a buffer.
//
// A window is a chain of FMAs as long as it has places, so four rows are worked on in turns: those of four places or, where there are
// fewer places, four registers of lanes of one place.

// walk is what a rowEmitter knows of a walk kernel.
type walk struct {
	kept   []loop.Val       // loads whose lanes are the same at all places and stay in registers
	shared map[loop.Val]int // registers of such loads that do not stay, while they are used
	rows   int              // how many rows are worked on in turns
	wide   bool             // they are neighbouring lanes, not places
	row    int              // the current one
	based  bool             // the address of its buffer is there already
}

// walkKernel prints a walk kernel: with as many of the rows that all places share in registers as there is room for. It reports false,
// printing nothing, if there is none.
func (w *asm) walkKernel(t target, name string, k *loop.Kernel) bool {
	shared := k.SharedLoads()
	for n := len(shared); n >= 0; n-- {
		inner := &asm{consts: w.consts}
		e := &rowEmitter{asm: inner, t: t, k: k, last: k.LastUses(), zero: t.zeros(k), walk: &walk{kept: shared[:n], shared: map[loop.Val]int{}}}
		e.freeAll()
		e.walkLoops(name)
		w.data.WriteString(inner.data.String())
		if !e.full {
			w.b.WriteString(inner.b.String())
			return true
		}
	}
	return false
}

func (e *rowEmitter) walkLoops(name string) {
	e.header(name, "rows of n elements", "w *rt.Walk", 8)
	e.i("MOVQ", "w+0(FP)", "DI")
	e.i("MOVQ", fmt.Sprintf("%d(DI)", codegen.WalkIn), "R8")
	e.i("LEAQ", "(R8)(R8*2)", "R9")
	e.i("MOVQ", fmt.Sprintf("%d(DI)", codegen.WalkOut), "R10")
	e.i("LEAQ", "(R10)(R10*2)", "R11")
	e.i("MOVQ", "(DI)", "CX")
	e.i("XORQ", "R15", "R15")
	lanes := 8
	if e.t.wide {
		lanes = 16
	}
	e.i("CMPQ", fmt.Sprintf("%d(DI)", codegen.WalkPlaces), fmt.Sprintf("$%d", codegen.WalkStep))
	e.i("JLT", "few")
	e.walk.rows = codegen.WalkStep
	e.i("SUBQ", fmt.Sprintf("$%d", lanes), "CX")
	e.lanes("many", lanes, 1)
	e.walkTail("many", lanes)
	e.i("JMP", "end")
	e.label("few")
	kept := e.walk.kept
	e.walk.kept, e.walk.wide = nil, true
	e.i("SUBQ", fmt.Sprintf("$%d", codegen.WalkStep*lanes), "CX")
	e.lanes("wide", lanes, codegen.WalkStep)
	e.walk.rows, e.walk.wide = 1, false
	e.i("ADDQ", fmt.Sprintf("$%d", (codegen.WalkStep-1)*lanes), "CX")
	e.lanes("few1", lanes, 1)
	e.walkTail("few1", lanes)
	e.walk.kept = kept
	e.label("end")
	e.i("VZEROUPPER")
	e.i("RET")
	e.text("\n")
}

// lanes prints the loop over whole groups of registers, CX being the lanes left less those of a group.
func (e *rowEmitter) lanes(name string, lanes, group int) {
	e.i("JLT", name+"rest")
	e.label(name)
	e.places(name)
	e.i("ADDQ", fmt.Sprintf("$%d", 4*lanes*group), "R15")
	e.i("SUBQ", fmt.Sprintf("$%d", lanes*group), "CX")
	e.i("JGE", name)
	e.label(name + "rest")
}

// walkTail prints the last lanes, under a mask.
func (e *rowEmitter) walkTail(name string, lanes int) {
	e.i("ADDQ", fmt.Sprintf("$%d", lanes), "CX")
	e.i("JZ", "end")
	e.tail = true
	e.tailMask(0, "AX")
	e.places(name + "tail")
	e.tail = false
}

// places prints the loop over the places, for one group of lanes. Registers are the same afterwards.
func (e *rowEmitter) places(label string) {
	free, mask := append([]int{}, e.free...), append([]int{}, e.mask...)
	rows := make([]map[loop.Val]int, e.walk.rows)
	for i := range rows {
		rows[i] = map[loop.Val]int{}
	}
	for _, v := range e.walk.kept {
		e.sharedLoad(v, rows)
	}
	e.i("MOVQ", fmt.Sprintf("%d(DI)", codegen.WalkPlaces), "SI")
	e.i("MOVQ", "R15", "DX")
	e.i("MOVQ", "R15", "BX")
	e.label(label + "place")
	e.inTurns(rows)
	step := 1
	if e.walk.rows > 1 && !e.walk.wide {
		step = codegen.WalkStep
	}
	e.i("LEAQ", fmt.Sprintf("(DX)(R8*%d)", step), "DX")
	e.i("LEAQ", fmt.Sprintf("(BX)(R10*%d)", step), "BX")
	e.i("SUBQ", fmt.Sprintf("$%d", step), "SI")
	e.i("JNZ", label+"place")
	e.free, e.mask = free, mask
	clear(e.walk.shared)
}

// inTurns prints the kernel for some rows.
func (e *rowEmitter) inTurns(rows []map[loop.Val]int) {
	for _, t := range e.k.InTurns(len(rows), e.walk.wide, e.walk.kept) {
		if t.Row == loop.AllRows {
			e.sharedLoad(t.V, rows)
			continue
		}
		e.pos, e.regs, e.walk.row, e.walk.based = t.Pos, rows[t.Row], t.Row, t.Again
		e.inst(t.V)
		e.step(t.V)
		for _, v := range t.Done {
			e.dropShared(v, rows)
		}
	}
}

// sharedLoad loads lanes that all rows share.
func (e *rowEmitter) sharedLoad(v loop.Val, rows []map[loop.Val]int) {
	r := e.take()
	e.walk.row, e.walk.based = 0, false
	e.loadRow(e.k.Insts[v].Buf, e.vec(r))
	e.walk.shared[v] = r
	for _, regs := range rows {
		regs[v] = r
	}
}

// dropShared frees the register of lanes that the rows share.
func (e *rowEmitter) dropShared(v loop.Val, rows []map[loop.Val]int) {
	e.give(e.walk.shared[v])
	delete(e.walk.shared, v)
	for _, regs := range rows {
		delete(regs, v)
	}
}

// isShared reports whether a value's register is that of several rows.
func (e *rowEmitter) isShared(v loop.Val) bool {
	if e.walk == nil {
		return false
	}
	_, ok := e.walk.shared[v]
	return ok
}

// walkAddr is the place of the current lanes in a buffer of a walk kernel.
func (e *rowEmitter) walkAddr(buf int) string {
	b := e.k.Bufs[buf]
	base, at, once, thrice := "AX", "DX", "R8", "R9"
	switch {
	case !b.Walk:
		base, at = "R12", "R15"
	case b.Out:
		at, once, thrice = "BX", "R10", "R11"
	}
	if !e.walk.based {
		e.i("MOVQ", at, base)
		e.i("ADDQ", fmt.Sprintf("%d(DI)", codegen.WalkPtrs+8*buf), base)
	}
	switch {
	case e.walk.row == 0 || !b.Walk && !e.walk.wide:
		return fmt.Sprintf("(%s)", base)
	case e.walk.wide && e.t.wide:
		return fmt.Sprintf("%d(%s)", 64*e.walk.row, base)
	case e.walk.wide:
		return fmt.Sprintf("%d(%s)", 32*e.walk.row, base)
	case e.walk.row == 3:
		return fmt.Sprintf("(%s)(%s*1)", base, thrice)
	}
	return fmt.Sprintf("(%s)(%s*%d)", base, once, e.walk.row)
}
