package arm64

import (
	"fmt"
	"math"

	"mmc/ir/loop"
)

// Walk kernels. R0 is the walk, R1 the lanes left, R2 the bytes before the current lanes in a row, R3 the places left, R4 and R5 the
// bytes before the current lanes in buffers that walk (read, written), R6 and R7 how far those walk, R11 the address of a buffer that
// is not in walkRegs, R19 the constants. Four lanes at a time, then single ones.

var walkRegs = []int{8, 9, 10, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25, 26}

// Offsets in rt.Walk.
const (
	walkPlaces = 8
	walkIn     = 16
	walkOut    = 24
	walkPtrs   = 32
)

// walk is what a rowEmitter knows of a walk kernel.
type walk struct {
	regs map[int]int // of buffers whose addresses stay in registers
	kept []loop.Val  // loads whose lanes are the same at all places and stay in registers
	one  bool        // a single lane
}

// walkKernel prints a walk kernel: with as many of the rows that all places share in registers as there is room for. It reports false,
// printing nothing, if there is none.
func (w *asm) walkKernel(name string, k *loop.Kernel) bool {
	shared := sharedLoads(k)
	for n := len(shared); n >= 0; n-- {
		inner := &asm{consts: w.consts, at: w.at, labels: w.labels}
		e := &rowEmitter{asm: inner, k: k, regs: map[loop.Val]int{}, last: k.LastUses(), walk: &walk{regs: map[int]int{}, kept: shared[:n]}}
		e.freeAll()
		e.walkLoop(name)
		w.consts, w.labels = inner.consts, inner.labels
		if !e.full {
			w.b.WriteString(inner.b.String())
			return true
		}
	}
	return false
}

// sharedLoads are the loads from buffers that do not walk.
func sharedLoads(k *loop.Kernel) (vs []loop.Val) {
	for _, v := range k.Stages[0].Insts {
		if in := &k.Insts[v]; in.Code == loop.Load && !k.Bufs[in.Buf].Walk {
			vs = append(vs, v)
		}
	}
	return vs
}

func (e *rowEmitter) walkLoop(name string) {
	e.header(name, "rows of n elements", "w *rt.Walk", 0, 8)
	if e.usesConstants() {
		e.i("MOVD", "$consts<>(SB)", "R19")
	}
	e.i("MOVD", "w+0(FP)", "R0")
	e.i("MOVD", fmt.Sprintf("%d(R0)", walkIn), "R6")
	e.i("MOVD", fmt.Sprintf("%d(R0)", walkOut), "R7")
	for i, b := range e.k.Bufs {
		if b.Walk && (len(e.walk.regs) < len(walkRegs)-1 || b.Out) {
			r := walkRegs[len(e.walk.regs)]
			e.walk.regs[i] = r
			e.i("MOVD", fmt.Sprintf("%d(R0)", walkPtrs+8*i), fmt.Sprintf("R%d", r))
		}
	}
	e.i("MOVD", "(R0)", "R1")
	e.i("MOVD", "$0", "R2")
	e.i("SUBS", "$4", "R1", "R1")
	e.i("BLT", "rest")
	e.label("main")
	e.places("mainplace")
	e.i("ADD", "$16", "R2")
	e.i("SUBS", "$4", "R1", "R1")
	e.i("BGE", "main")
	e.label("rest")
	e.i("ADDS", "$4", "R1", "R1")
	e.i("BEQ", "end")
	e.walk.one = true
	e.label("one")
	e.places("oneplace")
	e.i("ADD", "$4", "R2")
	e.i("SUBS", "$1", "R1", "R1")
	e.i("BNE", "one")
	e.label("end")
	e.i("RET")
	e.text("\n")
}

// places prints the loop over the places, for one group of lanes. Registers are the same afterwards.
func (e *rowEmitter) places(label string) {
	free := append([]int{}, e.free...)
	e.pos = 0
	for _, v := range e.walk.kept {
		e.last[v] = math.MaxInt
		r := e.take()
		e.regs[v] = r
		e.walkLoad(e.k.Insts[v].Buf, r)
	}
	e.i("MOVD", fmt.Sprintf("%d(R0)", walkPlaces), "R3")
	e.i("MOVD", "R2", "R4")
	e.i("MOVD", "R2", "R5")
	e.label(label)
	for _, v := range e.k.Stages[0].Insts {
		if _, kept := e.regs[v]; !kept {
			e.inst(v)
		}
		e.step(v)
	}
	e.i("ADD", "R6", "R4")
	e.i("ADD", "R7", "R5")
	e.i("SUBS", "$1", "R3", "R3")
	e.i("BNE", label)
	e.free, e.regs = free, map[loop.Val]int{}
}

func (e *rowEmitter) walkLoad(buf, d int) {
	p, at := e.walkAddr(buf)
	if e.walk.one {
		e.i("FMOVS", fmt.Sprintf("(R%d)(R%d)", p, at), fmt.Sprintf("F%d", d))
		return
	}
	e.v(loadIndexed(d, p, at))
}

func (e *rowEmitter) walkStore(x, buf int) {
	p, at := e.walkAddr(buf)
	if e.walk.one {
		e.i("FMOVS", fmt.Sprintf("F%d", x), fmt.Sprintf("(R%d)(R%d)", p, at))
		return
	}
	e.v(storeIndexed(x, p, at))
}

// walkAddr is the registers whose sum is the place of the current lanes in a buffer.
func (e *rowEmitter) walkAddr(buf int) (p, at int) {
	b := e.k.Bufs[buf]
	switch {
	case b.Walk && b.Out:
		at = 5
	case b.Walk:
		at = 4
	default:
		at = 2
	}
	if r, ok := e.walk.regs[buf]; ok {
		return r, at
	}
	e.i("MOVD", fmt.Sprintf("%d(R0)", walkPtrs+8*buf), "R11")
	return 11, at
}
