package amd64

import (
	"fmt"
	"strings"

	"mmc/ir/loop"
)

// ptrRegs hold the buffers' addresses; DI is free for tails.
var ptrRegs = []string{"R8", "R9", "R10", "R11", "R12", "R13", "AX", "BX", "DX", "SI"}

// rowEmitter prints one row kernel.
type rowEmitter struct {
	*asm
	t    target
	k    *loop.Kernel
	regs map[loop.Val]int // vector (or, for AVX-512 bools, mask) registers of values
	acc  map[loop.Val][2]int
	free []int
	mask []int // free mask registers
	last map[loop.Val]int
	half int
	tail bool
	pos  int
	walk *walk // of a walk kernel
	full bool  // ran out of registers: the kernel is refused
}

// row prints a kernel; it reports false, printing nothing, if the registers do not suffice.
func (w *asm) row(t target, name string, k *loop.Kernel) bool {
	if len(k.Bufs) > len(ptrRegs) {
		return false
	}
	inner := &asm{consts: w.consts}
	e := &rowEmitter{asm: inner, t: t, k: k, regs: map[loop.Val]int{}, acc: map[loop.Val][2]int{}, last: k.LastUses()}
	e.freeAll()
	e.kernel(name)
	w.data.WriteString(inner.data.String())
	if e.full {
		return false
	}
	w.b.WriteString(inner.b.String())
	return true
}

func (e *rowEmitter) freeAll() {
	e.free, e.mask = nil, nil
	n := 15 // Y15 is the tail's mask
	if e.t.wide {
		n = 32
	}
	for i := n - 1; i >= 0; i-- {
		e.free = append(e.free, i)
	}
	for i := 7; i >= 2; i-- {
		e.mask = append(e.mask, i)
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

func (e *rowEmitter) give(r int) { e.free = append(e.free, r) }

func (e *rowEmitter) vec(r int) string {
	if e.t.wide {
		return fmt.Sprintf("Z%d", r)
	}
	return fmt.Sprintf("Y%d", r)
}

// header prints what a kernel does and how it begins.
func (e *rowEmitter) header(name, rows, params string, bytes int) {
	e.text("// %s is %s on %s.\n// Requires: %s\n", name, e.k.Name, rows, map[bool]string{true: "AVX512F, AVX512DQ", false: "AVX2, FMA"}[e.t.wide])
	for _, line := range strings.Split(strings.TrimSpace(e.k.String()), "\n") {
		e.text("//\t%s\n", line)
	}
	e.text("//\n// func %s(%s)\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", name, params, name, bytes)
}

func (e *rowEmitter) kernel(name string) {
	e.header(name, "a row of n elements", "n int, p *rt.Ptrs", 16)
	e.i("MOVQ", "n+0(FP)", "CX")
	e.i("MOVQ", "p+8(FP)", "DI")
	for i := range e.k.Bufs {
		e.i("MOVQ", fmt.Sprintf("%d(DI)", i*8), ptrRegs[i])
	}
	for i, s := range e.k.Stages {
		if s.Loop {
			e.loop(i, s)
			e.pos++
			continue
		}
		for _, v := range s.Insts {
			e.inst(v)
			e.step(v)
		}
		e.pos++
	}
	e.i("VZEROUPPER")
	e.i("RET")
	e.text("\n")
}

// step frees the registers of operands that are not used again.
func (e *rowEmitter) step(v loop.Val) {
	in := &e.k.Insts[v]
	for i, a := range in.Args {
		if a != loop.None && e.last[a] <= e.pos && !repeated(in.Args[:i], a) {
			e.release(a)
		}
	}
	if _, used := e.last[v]; !used {
		e.release(v)
	}
	e.pos++
}

func repeated(args []loop.Val, v loop.Val) bool {
	for _, a := range args {
		if a == v {
			return true
		}
	}
	return false
}

func (e *rowEmitter) release(v loop.Val) {
	r, ok := e.regs[v]
	if !ok || e.isShared(v) {
		return
	}
	delete(e.regs, v)
	if e.isMask(v) {
		e.mask = append(e.mask, r)
	} else {
		e.give(r)
	}
}

func (e *rowEmitter) isMask(v loop.Val) bool { return e.t.wide && e.k.Insts[v].Elem == loop.Bool }

// loop prints a stage over the row: whole groups of sixteen lanes, then the tail under a mask, then the reductions' trees.
func (e *rowEmitter) loop(index int, s loop.Stage) {
	for _, v := range s.Insts {
		if e.k.Insts[v].Code.Reduction() {
			e.startReduction(v)
		}
	}
	main, rest, end := fmt.Sprintf("main%d", index), fmt.Sprintf("rest%d", index), fmt.Sprintf("end%d", index)
	e.i("XORQ", "R15", "R15")
	e.i("SUBQ", "$16", "CX")
	e.i("JLT", rest)
	e.label(main)
	e.body(s, false)
	e.i("ADDQ", "$64", "R15")
	e.i("SUBQ", "$16", "CX")
	e.i("JGE", main)
	e.label(rest)
	e.i("ADDQ", "$16", "CX")
	e.i("JZ", end)
	e.body(s, true)
	e.label(end)
	e.pos += len(s.Insts)
	e.i("MOVQ", "n+0(FP)", "CX")
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

// body prints the loop's instructions once (AVX-512) or for each half (AVX2). Registers are the same afterwards.
func (e *rowEmitter) body(s loop.Stage, tail bool) {
	halves := 2
	if e.t.wide {
		halves = 1
	}
	e.tail = tail
	for h := range halves {
		e.half = h
		if tail {
			e.tailMask(h, "DI")
		}
		pos := e.pos
		free, mask := append([]int{}, e.free...), append([]int{}, e.mask...)
		keep := map[loop.Val]int{}
		for v, r := range e.regs {
			keep[v] = r
		}
		for _, v := range s.Insts {
			e.inst(v)
			e.step(v)
		}
		e.pos, e.free, e.mask, e.regs = pos, free, mask, keep
	}
	e.tail, e.half = false, 0
}

// tailMask makes the mask of the CX elements that are left: K1, or half h of it in Y15; tmp is overwritten.
func (e *rowEmitter) tailMask(h int, tmp string) {
	if e.t.wide {
		e.i("MOVL", "$-1", tmp)
		e.i("SHLL", "CX", tmp)
		e.i("NOTL", tmp)
		e.i("KMOVW", tmp, "K1")
		return
	}
	if h == 0 {
		e.i("LEAQ", e.laneTable(), tmp)
		e.i("NEGQ", "CX")
		e.i("LEAQ", fmt.Sprintf("64(%s)(CX*4)", tmp), tmp)
		e.i("NEGQ", "CX")
	}
	e.i("VMOVUPS", fmt.Sprintf("%d(%s)", 32*h, tmp), "Y15")
}
