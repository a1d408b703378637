package amd64

import (
	"fmt"
	"math"

	"mmc/ir/loop"
)

// Walk kernels. DI is the walk, R15 the bytes before the current lanes in a row, CX the lanes left, SI the places left, DX and BX the
// bytes before the current lanes in buffers that walk (read, written), walkRegs the first such buffers' addresses, AX the address of
// any other.

var walkRegs = []string{"R8", "R9", "R10", "R11", "R12", "R13"}

// Offsets in rt.Walk.
const (
	walkPlaces = 8
	walkIn     = 16
	walkOut    = 24
	walkPtrs   = 32
)

// walk is what a rowEmitter knows of a walk kernel.
type walk struct {
	regs map[int]string // of buffers whose addresses stay in registers
	kept []loop.Val     // loads whose lanes are the same at all places and stay in registers
}

// walkKernel prints a walk kernel: with as many of the rows that all places share in registers as there is room for. It reports false,
// printing nothing, if there is none.
func (w *asm) walkKernel(t target, name string, k *loop.Kernel) bool {
	shared := sharedLoads(k)
	for n := len(shared); n >= 0; n-- {
		inner := &asm{consts: w.consts}
		e := &rowEmitter{asm: inner, t: t, k: k, regs: map[loop.Val]int{}, last: k.LastUses(), walk: &walk{regs: map[int]string{}, kept: shared[:n]}}
		e.freeAll()
		e.walkLoop(name)
		w.data.WriteString(inner.data.String())
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
	e.header(name, "rows of n elements", "w *rt.Walk", 8)
	e.i("MOVQ", "w+0(FP)", "DI")
	for i, b := range e.k.Bufs {
		if b.Walk && (len(e.walk.regs) < len(walkRegs)-1 || b.Out) {
			r := walkRegs[len(e.walk.regs)]
			e.walk.regs[i] = r
			e.i("MOVQ", fmt.Sprintf("%d(DI)", walkPtrs+8*i), r)
		}
	}
	lanes := 8
	if e.t.wide {
		lanes = 16
	}
	e.i("MOVQ", "(DI)", "CX")
	e.i("XORQ", "R15", "R15")
	e.i("SUBQ", fmt.Sprintf("$%d", lanes), "CX")
	e.i("JLT", "rest")
	e.label("main")
	e.places("main")
	e.i("ADDQ", fmt.Sprintf("$%d", 4*lanes), "R15")
	e.i("SUBQ", fmt.Sprintf("$%d", lanes), "CX")
	e.i("JGE", "main")
	e.label("rest")
	e.i("ADDQ", fmt.Sprintf("$%d", lanes), "CX")
	e.i("JZ", "end")
	e.tail = true
	e.tailMask(0, "AX")
	e.places("rest")
	e.label("end")
	e.i("VZEROUPPER")
	e.i("RET")
	e.text("\n")
}

// places prints the loop over the places, for one group of lanes. Registers are the same afterwards.
func (e *rowEmitter) places(label string) {
	free, mask := append([]int{}, e.free...), append([]int{}, e.mask...)
	e.pos = 0
	for _, v := range e.walk.kept {
		e.last[v] = math.MaxInt
		r := e.take()
		e.regs[v] = r
		e.loadRow(e.k.Insts[v].Buf, e.vec(r))
	}
	e.i("MOVQ", fmt.Sprintf("%d(DI)", walkPlaces), "SI")
	e.i("MOVQ", "R15", "DX")
	e.i("MOVQ", "R15", "BX")
	e.label(label + "place")
	for _, v := range e.k.Stages[0].Insts {
		if _, kept := e.regs[v]; !kept {
			e.inst(v)
		}
		e.step(v)
	}
	e.i("ADDQ", fmt.Sprintf("%d(DI)", walkIn), "DX")
	e.i("ADDQ", fmt.Sprintf("%d(DI)", walkOut), "BX")
	e.i("DECQ", "SI")
	e.i("JNZ", label+"place")
	e.free, e.mask, e.regs = free, mask, map[loop.Val]int{}
}

// walkAddr is the place of the current lanes in a buffer of a walk kernel.
func (e *rowEmitter) walkAddr(buf int) string {
	b, at := e.k.Bufs[buf], "R15"
	if b.Walk {
		at = map[bool]string{false: "DX", true: "BX"}[b.Out]
	}
	if r, ok := e.walk.regs[buf]; ok {
		return fmt.Sprintf("(%s)(%s*1)", r, at)
	}
	e.i("MOVQ", fmt.Sprintf("%d(DI)", walkPtrs+8*buf), "AX")
	return fmt.Sprintf("(AX)(%s*1)", at)
}
