package amd64

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mmc/codegen"
	"mmc/ir/loop"
)

// ptrRegs hold the buffers' addresses; DI is free for tails. If they do not suffice, the last is for the address of the moment.
var ptrRegs = []string{"R8", "R9", "R10", "R11", "R12", "R13", "AX", "BX", "DX", "SI"}

// rowEmitter prints one row kernel, for a row or for several that are worked on in turns: instruction by instruction in loops with
// reductions, which are chains, one row after the other in other loops.
type rowEmitter struct {
	*asm
	t target
	k *loop.Kernel
	rowState
	rows   []rowState // of all rows; the current one's is above
	active []int      // the rows that are worked on
	row    int        // the current one
	ptr    map[rowBuf]string
	free   []int
	mask   []int // free mask registers
	last   map[loop.Val]int
	half   int
	tail   bool
	pos    int
	zero   zeros
	walk   *walk // of a walk kernel
	full   bool  // ran out of registers: the kernel is refused
}

// rowState is what a row has of its own.
type rowState struct {
	regs map[loop.Val]int // vector (or, for AVX-512 bools, mask) registers of values
	acc  map[loop.Val][2]int
}

// rowBuf is a buffer of a row.
type rowBuf struct{ row, buf int }

// rowKernel prints a kernel for some rows; it reports false, printing nothing, if the registers do not suffice.
func (w *asm) rowKernel(t target, name string, k *loop.Kernel, rows int) bool {
	if len(k.Bufs) > len(ptrRegs) {
		return false
	}
	inner := &asm{consts: w.consts}
	e := &rowEmitter{asm: inner, t: t, k: k, last: k.LastUses(), zero: t.zeros(k)}
	for i := range rows {
		e.rows = append(e.rows, rowState{map[loop.Val]int{}, map[loop.Val][2]int{}})
		e.active = append(e.active, i)
	}
	e.freeAll()
	e.use(0)
	e.kernel(name)
	w.data.WriteString(inner.data.String())
	if e.full {
		return false
	}
	w.b.WriteString(inner.b.String())
	return true
}

// use makes a row the current one.
func (e *rowEmitter) use(row int) { e.row, e.rowState = row, e.rows[row] }

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
	if len(e.rows) == 1 {
		e.header(name, "a row of n elements", "n int, p *rt.Ptrs", 16)
	} else {
		e.header(name, fmt.Sprintf("%d rows of n elements", len(e.rows)), "n int, p *rt.Turn", 16)
	}
	e.i("MOVQ", "n+0(FP)", "CX")
	all := e.active
	if len(all) == 1 {
		e.point(e.buffers(e.k.Stages...))
	}
	for i, s := range e.k.Stages {
		if s.Loop && !s.Reduces(e.k) && len(all) > 1 {
			e.oneByOne(i, s, all)
			continue
		}
		if len(all) > 1 {
			e.point(e.buffers(s))
		}
		if s.Loop {
			e.loop(fmt.Sprint(i), s)
		} else {
			e.inTurn(s)
		}
		e.pos++
	}
	e.i("VZEROUPPER")
	e.i("RET")
	e.text("\n")
}

// oneByOne prints a loop over the row for each row.
func (e *rowEmitter) oneByOne(index int, s loop.Stage, rows []int) {
	pos := e.pos
	for _, r := range rows {
		e.pos, e.active = pos, []int{r}
		e.use(r)
		e.point(e.buffers(s))
		e.loop(fmt.Sprintf("%d_%d", index, r), s)
		e.pos++
	}
	e.active = rows
}

// inTurn prints instructions, each for all rows.
func (e *rowEmitter) inTurn(s loop.Stage) {
	for _, v := range s.Insts {
		for _, r := range e.active {
			e.use(r)
			e.inst(v)
			e.step(v)
		}
		e.pos++
	}
}

// buffers are the rows' buffers that some stages use, in order.
func (e *rowEmitter) buffers(stages ...loop.Stage) (bufs []rowBuf) {
	for _, r := range e.active {
		for b := range e.k.Bufs {
			if slices.ContainsFunc(stages, func(s loop.Stage) bool { return s.Uses(e.k, b) }) {
				bufs = append(bufs, rowBuf{r, b})
			}
		}
	}
	return bufs
}

// point loads the addresses of buffers.
func (e *rowEmitter) point(bufs []rowBuf) {
	if len(bufs) > len(ptrRegs) {
		bufs = bufs[:len(ptrRegs)-1]
	}
	e.ptr = map[rowBuf]string{}
	e.i("MOVQ", "p+8(FP)", "DI")
	for i, b := range bufs {
		e.i("MOVQ", b.at("DI"), ptrRegs[i])
		e.ptr[b] = ptrRegs[i]
	}
}

// at is where a buffer's address is.
func (b rowBuf) at(p string) string { return fmt.Sprintf("%d(%s)", b.row*codegen.PtrsSize+b.buf*8, p) }

// base is the register of the address of a buffer of the current row.
func (e *rowEmitter) base(buf int) string {
	b := rowBuf{e.row, buf}
	if r, ok := e.ptr[b]; ok {
		return r
	}
	r := ptrRegs[len(ptrRegs)-1]
	e.i("MOVQ", "p+8(FP)", r)
	e.i("MOVQ", b.at(r), r)
	return r
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

// loop prints a stage over the active rows: whole groups of sixteen lanes, then the tail under a mask, then the reductions' trees.
func (e *rowEmitter) loop(name string, s loop.Stage) {
	reductions := slices.DeleteFunc(slices.Clone(s.Insts), func(v loop.Val) bool { return !e.k.Insts[v].Code.Reduction() })
	e.each(func() {
		for _, v := range reductions {
			e.startReduction(v)
		}
	})
	main, rest, end := "main"+name, "rest"+name, "end"+name
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
	e.each(func() {
		for v := range loop.Val(len(e.k.Insts)) {
			if e.last[v] <= e.pos {
				e.release(v)
			}
		}
		for _, v := range reductions {
			e.tree(v)
		}
	})
}

// each calls f for each active row.
func (e *rowEmitter) each(f func()) {
	for _, r := range e.active {
		e.use(r)
		f()
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
		pos, free, mask := e.pos, slices.Clone(e.free), slices.Clone(e.mask)
		var keep []map[loop.Val]int
		e.each(func() { keep = append(keep, maps.Clone(e.regs)) })
		e.inTurn(s)
		e.pos, e.free, e.mask = pos, free, mask
		for i, r := range e.active {
			e.rows[r].regs = keep[i]
		}
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
