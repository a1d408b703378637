package arm64

import (
	"fmt"

	"mmc/codegen"
	"mmc/ir/loop"
)

// Walk kernels. R0 is the walk, R1 the lanes left, R2 the bytes before the current lanes in a row, R3 the places left, R4 and R5 the
// bytes before the current lanes in buffers that walk (read, written), R6 and R7 how far those walk, R8 … R11 the bytes before the lanes
// of four rows, R12 the address of a buffer, R19 the constants.
//
// A window is a chain of FMAs as long as it has places, so four rows are worked on in turns: those of four places or, where there are
// fewer places, four registers of lanes of one place. The last lanes of a row are done one by one.

// walk is what a rowEmitter knows of a walk kernel.
type walk struct {
	kept   []loop.Val       // loads whose lanes are the same at all places and stay in registers
	shared map[loop.Val]int // registers of such loads that do not stay, while they are used
	rows   int              // how many rows are worked on in turns
	wide   bool             // they are neighbouring lanes, not places
	one    bool             // a single lane
	row    int              // the current one
	based  bool             // the address of its buffer is there already
}

// walkKernel prints a walk kernel: with as many of the rows that all places share in registers as there is room for. It reports false,
// printing nothing, if there is none.
func (w *asm) walkKernel(name string, k *loop.Kernel) bool {
	shared := k.SharedLoads()
	for n := len(shared); n >= 0; n-- {
		inner := &asm{consts: w.consts, at: w.at, labels: w.labels}
		e := &rowEmitter{asm: inner, k: k, last: k.LastUses(), walk: &walk{kept: shared[:n], shared: map[loop.Val]int{}}}
		e.freeAll()
		e.walkLoops(name)
		w.consts, w.labels = inner.consts, inner.labels
		if !e.full {
			w.b.WriteString(inner.b.String())
			return true
		}
	}
	return false
}

func (e *rowEmitter) walkLoops(name string) {
	e.header(name, "rows of n elements", "w *rt.Walk", 0, 8)
	if e.usesConstants() {
		e.i("MOVD", "$consts<>(SB)", "R19")
	}
	e.i("MOVD", "w+0(FP)", "R0")
	e.i("MOVD", fmt.Sprintf("%d(R0)", codegen.WalkIn), "R6")
	e.i("MOVD", fmt.Sprintf("%d(R0)", codegen.WalkOut), "R7")
	e.i("MOVD", fmt.Sprintf("%d(R0)", codegen.WalkPlaces), "R3")
	e.i("MOVD", "(R0)", "R1")
	e.i("MOVD", "$0", "R2")
	e.i("CMP", fmt.Sprintf("$%d", codegen.WalkStep), "R3")
	e.i("BLT", "few")
	e.walk.rows = codegen.WalkStep
	e.i("SUBS", "$4", "R1", "R1")
	e.lanes("many", 4)
	e.i("ADDS", "$4", "R1", "R1")
	e.ones("manyone")
	e.label("few")
	kept := e.walk.kept
	e.walk.kept, e.walk.wide = nil, true
	e.i("SUBS", fmt.Sprintf("$%d", 4*codegen.WalkStep), "R1", "R1")
	e.lanes("wide", 4*codegen.WalkStep)
	e.walk.rows, e.walk.wide = 1, false
	e.i("ADDS", fmt.Sprintf("$%d", 4*(codegen.WalkStep-1)), "R1", "R1")
	e.lanes("few1", 4)
	e.i("ADDS", "$4", "R1", "R1")
	e.ones("few1one")
	e.walk.kept = kept
}

// lanes prints the loop over whole groups of lanes, R1 being the lanes left less those of a group.
func (e *rowEmitter) lanes(name string, group int) {
	e.i("BLT", name+"rest")
	e.label(name)
	e.places(name)
	e.i("ADD", fmt.Sprintf("$%d", 4*group), "R2")
	e.i("SUBS", fmt.Sprintf("$%d", group), "R1", "R1")
	e.i("BGE", name)
	e.label(name + "rest")
}

// ones prints the loop over the R1 lanes that are left, and the return.
func (e *rowEmitter) ones(name string) {
	e.i("BEQ", name+"end")
	e.walk.one = true
	e.label(name)
	e.places(name)
	e.i("ADD", "$4", "R2")
	e.i("SUBS", "$1", "R1", "R1")
	e.i("BNE", name)
	e.walk.one = false
	e.label(name + "end")
	e.i("RET")
	e.text("\n")
}

// places prints the loop over the places, for one group of lanes. Registers are the same afterwards.
func (e *rowEmitter) places(label string) {
	free := append([]int{}, e.free...)
	rows := make([]map[loop.Val]int, e.walk.rows)
	for i := range rows {
		rows[i] = map[loop.Val]int{}
	}
	for _, v := range e.walk.kept {
		e.sharedLoad(v, rows)
	}
	e.i("MOVD", fmt.Sprintf("%d(R0)", codegen.WalkPlaces), "R3")
	e.i("MOVD", "R2", "R4")
	e.i("MOVD", "R2", "R5")
	e.label(label + "place")
	e.inTurns(rows)
	step, shift := 1, ""
	if e.walk.rows > 1 && !e.walk.wide {
		step, shift = codegen.WalkStep, "<<2"
	}
	e.i("ADD", "R6"+shift, "R4", "R4")
	e.i("ADD", "R7"+shift, "R5", "R5")
	e.i("SUBS", fmt.Sprintf("$%d", step), "R3", "R3")
	e.i("BNE", label+"place")
	e.free = free
	clear(e.walk.shared)
}

// inTurns prints the kernel for some rows.
func (e *rowEmitter) inTurns(rows []map[loop.Val]int) {
	e.rowOffsets()
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

// rowOffsets puts the bytes before the lanes of the rows that are read in R8 … R11.
func (e *rowEmitter) rowOffsets() {
	by := "R6"
	if e.walk.wide {
		by = "$16"
	}
	e.i("MOVD", "R4", "R8")
	for row := 1; row < e.walk.rows; row++ {
		e.i("ADD", by, fmt.Sprintf("R%d", 7+row), fmt.Sprintf("R%d", 8+row))
	}
}

// sharedLoad loads lanes that all rows share.
func (e *rowEmitter) sharedLoad(v loop.Val, rows []map[loop.Val]int) {
	r := e.take()
	e.walk.row, e.walk.based = 0, false
	e.walkLoad(e.k.Insts[v].Buf, r)
	e.walk.shared[v] = r
	for _, regs := range rows {
		regs[v] = r
	}
}

// dropShared frees the register of lanes that the rows share.
func (e *rowEmitter) dropShared(v loop.Val, rows []map[loop.Val]int) {
	e.drop(e.walk.shared[v])
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

func (e *rowEmitter) walkLoad(buf, d int) {
	at := e.walkAddr(buf)
	if e.walk.one {
		e.i("FMOVS", fmt.Sprintf("(R12)(R%d)", at), fmt.Sprintf("F%d", d))
		return
	}
	e.v(loadIndexed(d, 12, at))
}

func (e *rowEmitter) walkStore(x, buf int) {
	at := e.walkAddr(buf)
	if e.walk.one {
		e.i("FMOVS", fmt.Sprintf("F%d", x), fmt.Sprintf("(R12)(R%d)", at))
		return
	}
	e.v(storeIndexed(x, 12, at))
}

// walkAddr puts a buffer's address in R12; the register that it gives is how far the current lanes are from there.
func (e *rowEmitter) walkAddr(buf int) int {
	b := e.k.Bufs[buf]
	if !e.walk.based {
		e.i("MOVD", fmt.Sprintf("%d(R0)", codegen.WalkPtrs+8*buf), "R12")
	}
	switch {
	case b.Walk && !b.Out:
		return 8 + e.walk.row
	case !b.Walk && e.walk.row == 0 || !b.Walk && !e.walk.wide:
		return 2
	case e.walk.row == 0:
		return 5
	}
	return e.farther(b.Walk)
}

// farther puts in R13 how far the lanes of a row after the first are in a result or, in groups of lanes, in a buffer that does not walk.
func (e *rowEmitter) farther(walks bool) int {
	from := map[bool]string{true: "R5", false: "R2"}[walks]
	if e.walk.wide {
		e.i("ADD", fmt.Sprintf("$%d", 16*e.walk.row), from, "R13")
		return 13
	}
	e.i("ADD", []string{"", "R7", "R7<<1", "R7"}[e.walk.row], from, "R13")
	if e.walk.row == 3 {
		e.i("ADD", "R7<<1", "R13", "R13")
	}
	return 13
}
