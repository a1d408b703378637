package amd64

import (
	"fmt"
	"math"
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
	full bool // ran out of registers: the kernel is refused
}

// row prints a kernel; it reports false, printing nothing, if the registers do not suffice.
func (w *asm) row(t target, name string, k *loop.Kernel) bool {
	if len(k.Bufs) > len(ptrRegs) {
		return false
	}
	inner := &asm{consts: w.consts}
	e := &rowEmitter{asm: inner, t: t, k: k, regs: map[loop.Val]int{}, acc: map[loop.Val][2]int{}}
	e.lastUses()
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

// lastUses finds the position after which a value's register is free: a value from before a loop lives to the loop's end.
func (e *rowEmitter) lastUses() {
	e.last = map[loop.Val]int{}
	stageOf := map[loop.Val]int{}
	pos := 0
	for si, s := range e.k.Stages {
		end := pos + len(s.Insts)
		for _, v := range s.Insts {
			stageOf[v] = si
			for _, a := range e.k.Insts[v].Args {
				if a == loop.None {
					continue
				}
				e.last[a] = pos
				if s.Loop && stageOf[a] != si {
					e.last[a] = end
				}
			}
			pos++
		}
		pos++
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

func (e *rowEmitter) kernel(name string) {
	e.text("// %s is %s on a row of n elements.\n// Requires: %s\n", name, e.k.Name, map[bool]string{true: "AVX512F, AVX512DQ", false: "AVX2, FMA"}[e.t.wide])
	for _, line := range strings.Split(strings.TrimSpace(e.k.String()), "\n") {
		e.text("//\t%s\n", line)
	}
	e.text("//\n// func %s(n int, p *rt.Ptrs)\nTEXT ·%s(SB), NOSPLIT, $0-16\n", name, name)
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
	if !ok {
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
			e.tailMask(h)
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

// tailMask makes the mask of the CX elements that are left: K1, or half h of it in Y15.
func (e *rowEmitter) tailMask(h int) {
	if e.t.wide {
		e.i("MOVL", "$-1", "DI")
		e.i("SHLL", "CX", "DI")
		e.i("NOTL", "DI")
		e.i("KMOVW", "DI", "K1")
		return
	}
	if h == 0 {
		e.i("LEAQ", e.laneTable(), "DI")
		e.i("NEGQ", "CX")
		e.i("LEAQ", "64(DI)(CX*4)", "DI")
		e.i("NEGQ", "CX")
	}
	e.i("VMOVUPS", fmt.Sprintf("%d(DI)", 32*h), "Y15")
}

// addr is the place of the current lanes in a buffer.
func (e *rowEmitter) addr(buf int) string {
	if e.k.Bufs[buf].Uniform {
		return fmt.Sprintf("(%s)", ptrRegs[buf])
	}
	return fmt.Sprintf("%d(%s)(R15*1)", 32*e.half, ptrRegs[buf])
}

// isConst reports whether a value is a memory operand.
func (e *rowEmitter) isConst(v loop.Val) bool { return e.k.Insts[v].Code == loop.Const }

// memory is a constant as an operand: one element for a broadcast, or a whole register.
func (e *rowEmitter) memory(bits uint32) string {
	if e.t.wide {
		return e.constant(bits, 1)
	}
	return e.constant(bits, 8)
}

func (e *rowEmitter) bitsOf(v loop.Val) uint32 { return math.Float32bits(float32(e.k.Insts[v].Imm)) }

// reg is the register of a value; a constant is loaded into a fresh one, which the caller gives back (temp).
func (e *rowEmitter) reg(v loop.Val) (name string, temp int) {
	if !e.isConst(v) {
		return e.vec(e.regs[v]), -1
	}
	r := e.take()
	e.load(e.bitsOf(v), e.vec(r))
	return e.vec(r), r
}

func (e *rowEmitter) load(bits uint32, to string) {
	if e.t.wide {
		e.i("VBROADCASTSS", e.memory(bits), to)
	} else {
		e.i("VMOVUPS", e.memory(bits), to)
	}
}

func (e *rowEmitter) drop(temps ...int) {
	for _, t := range temps {
		if t >= 0 {
			e.give(t)
		}
	}
}

// op prints d = f(a, b) for an instruction whose last source may be memory.
func (e *rowEmitter) op(name string, a string, b loop.Val, d string) {
	if !e.isConst(b) {
		e.i(name, e.vec(e.regs[b]), a, d)
		return
	}
	e.opBits(name, a, e.bitsOf(b), d)
}

func (e *rowEmitter) opBits(name, a string, bits uint32, d string) {
	if e.t.wide {
		name += ".BCST"
	}
	e.i(name, e.memory(bits), a, d)
}

const (
	signBit = 0x80000000
	absBits = 0x7fffffff
	allBits = 0xffffffff
)

// bitwise is the mnemonic of a bitwise operation on vectors.
func (e *rowEmitter) bitwise(op string) string {
	if e.t.wide {
		return "VP" + op + "D"
	}
	return "V" + op + "PS"
}

var arithmetic = map[loop.Code]string{loop.Add: "VADDPS", loop.Sub: "VSUBPS", loop.Mul: "VMULPS", loop.Div: "VDIVPS", loop.Min: "VMINPS",
	loop.Max: "VMAXPS"}

var rounding = map[loop.Code]string{loop.Round: "$8", loop.Floor: "$9", loop.Ceil: "$10", loop.Trunc: "$11"}

var predicates = map[loop.Code]string{loop.Lt: "$17", loop.Le: "$18", loop.Eq: "$0"}

var logic = map[loop.Code]string{loop.And: "AND", loop.Or: "OR", loop.Xor: "XOR"}

// inst prints one instruction; its operands' registers are freed by step.
func (e *rowEmitter) inst(v loop.Val) {
	in := &e.k.Insts[v]
	switch {
	case in.Code == loop.Const:
	case in.Code == loop.Store:
		e.store(in)
	case in.Code.Reduction():
		e.accumulate(v)
	case predicates[in.Code] != "":
		e.compare(v)
	case logic[in.Code] != "" || in.Code == loop.Not:
		e.logical(v)
	default:
		r := e.take()
		e.compute(in, e.vec(r))
		e.regs[v] = r
	}
}

func (e *rowEmitter) compute(in *loop.Inst, d string) {
	a, b, c := in.Args[0], in.Args[1], in.Args[2]
	if name := arithmetic[in.Code]; name != "" {
		if e.isConst(a) && (in.Code == loop.Add || in.Code == loop.Mul) {
			a, b = b, a
		}
		x, t := e.reg(a)
		e.op(name, x, b, d)
		e.drop(t)
		return
	}
	switch in.Code {
	case loop.Load:
		e.loadRow(in.Buf, d)
	case loop.Len:
		e.i("VCVTSI2SSQ", "CX", xmm(d), xmm(d))
		e.i("VBROADCASTSS", xmm(d), d)
	case loop.FMA:
		e.fma(a, b, c, d)
	case loop.Select:
		e.choose(a, b, c, d)
	case loop.CopySign:
		e.copySign(a, b, d)
	case loop.Scale:
		e.scale(a, b, d)
	default:
		x, t := e.reg(a)
		e.unary(in.Code, x, d)
		e.drop(t)
	}
}

func xmm(r string) string { return "X" + r[1:] }
func ymm(r string) string { return "Y" + r[1:] }

func (e *rowEmitter) unary(c loop.Code, x, d string) {
	switch c {
	case loop.Neg:
		e.opBits(e.bitwise("XOR"), x, signBit, d)
	case loop.Abs:
		e.opBits(e.bitwise("AND"), x, absBits, d)
	case loop.Sqrt:
		e.i("VSQRTPS", x, d)
	default:
		e.i(map[bool]string{true: "VRNDSCALEPS", false: "VROUNDPS"}[e.t.wide], rounding[c], x, d)
	}
}

func (e *rowEmitter) loadRow(buf int, d string) {
	switch {
	case e.k.Bufs[buf].Uniform:
		e.i("VBROADCASTSS", e.addr(buf), d)
	case !e.tail:
		e.i("VMOVUPS", e.addr(buf), d)
	case e.t.wide:
		e.i("VMOVUPS.Z", e.addr(buf), "K1", d)
	default:
		e.i("VMASKMOVPS", e.addr(buf), "Y15", d)
	}
}

func (e *rowEmitter) store(in *loop.Inst) {
	x, t := e.reg(in.Args[0])
	switch {
	case e.k.Bufs[in.Buf].Uniform:
		e.i("VMOVSS", xmm(x), e.addr(in.Buf))
	case !e.tail:
		e.i("VMOVUPS", x, e.addr(in.Buf))
	case e.t.wide:
		e.i("VMOVUPS", x, "K1", e.addr(in.Buf))
	default:
		e.i("VMASKMOVPS", x, "Y15", e.addr(in.Buf))
	}
	e.drop(t)
}

// fma is d = a*b + c: c goes to d first.
func (e *rowEmitter) fma(a, b, c loop.Val, d string) {
	if e.isConst(c) {
		e.load(e.bitsOf(c), d)
	} else {
		e.i("VMOVAPS", e.vec(e.regs[c]), d)
	}
	if e.isConst(a) {
		a, b = b, a
	}
	x, t := e.reg(a)
	e.op("VFMADD231PS", x, b, d)
	e.drop(t)
}

func (e *rowEmitter) copySign(a, b loop.Val, d string) {
	x, t1 := e.reg(a)
	y, t2 := e.reg(b)
	tmp := e.take()
	e.opBits(e.bitwise("AND"), x, absBits, d)
	e.opBits(e.bitwise("AND"), y, signBit, e.vec(tmp))
	e.i(e.bitwise("OR"), e.vec(tmp), d, d)
	e.drop(tmp, t1, t2)
}

// scale is a * 2^b: one instruction, or two products with powers of two made from exponent bits.
func (e *rowEmitter) scale(a, b loop.Val, d string) {
	x, t1 := e.reg(a)
	n, t2 := e.reg(b)
	if e.t.wide {
		e.i("VSCALEFPS", n, x, d)
		e.drop(t1, t2)
		return
	}
	h, p := e.take(), e.take()
	e.opBits("VMULPS", n, math.Float32bits(0.5), e.vec(h))
	e.i("VROUNDPS", "$8", e.vec(h), e.vec(h))
	e.power(e.vec(h), e.vec(p))
	e.i("VMULPS", e.vec(p), x, d)
	e.i("VSUBPS", e.vec(h), n, e.vec(h))
	e.power(e.vec(h), e.vec(p))
	e.i("VMULPS", e.vec(p), d, d)
	e.drop(h, p, t1, t2)
}

// power is 2^n for integral n in the range of normal numbers.
func (e *rowEmitter) power(n, d string) {
	e.i("VCVTPS2DQ", n, d)
	e.opBits("VPADDD", d, 127, d)
	e.i("VPSLLD", "$23", d, d)
}

func (e *rowEmitter) compare(v loop.Val) {
	in := &e.k.Insts[v]
	x, t1 := e.reg(in.Args[0])
	y, t2 := e.reg(in.Args[1])
	if e.t.wide {
		k := e.takeMask()
		e.i("VCMPPS", predicates[in.Code], y, x, fmt.Sprintf("K%d", k))
		e.regs[v] = k
	} else {
		r := e.take()
		e.i("VCMPPS", predicates[in.Code], y, x, e.vec(r))
		e.regs[v] = r
	}
	e.drop(t1, t2)
}

func (e *rowEmitter) takeMask() int {
	if len(e.mask) == 0 {
		e.full = true
		return 2
	}
	k := e.mask[len(e.mask)-1]
	e.mask = e.mask[:len(e.mask)-1]
	return k
}

// logical combines bools: masks, or vectors of all ones and zeros.
func (e *rowEmitter) logical(v loop.Val) {
	in := &e.k.Insts[v]
	a := e.regs[in.Args[0]]
	if e.t.wide {
		k := e.takeMask()
		if in.Code == loop.Not {
			e.i("KNOTW", fmt.Sprintf("K%d", a), fmt.Sprintf("K%d", k))
		} else {
			e.i("K"+logic[in.Code]+"W", fmt.Sprintf("K%d", e.regs[in.Args[1]]), fmt.Sprintf("K%d", a), fmt.Sprintf("K%d", k))
		}
		e.regs[v] = k
		return
	}
	r := e.take()
	if in.Code == loop.Not {
		e.opBits("VXORPS", e.vec(a), allBits, e.vec(r))
	} else {
		e.i("V"+logic[in.Code]+"PS", e.vec(e.regs[in.Args[1]]), e.vec(a), e.vec(r))
	}
	e.regs[v] = r
}

func (e *rowEmitter) choose(c, a, b loop.Val, d string) {
	x, t1 := e.reg(a)
	y, t2 := e.reg(b)
	if e.t.wide {
		e.i("VBLENDMPS", x, y, fmt.Sprintf("K%d", e.regs[c]), d)
	} else {
		e.i("VBLENDVPS", e.vec(e.regs[c]), x, y, d)
	}
	e.drop(t1, t2)
}

var reduceOp = map[loop.Code]string{loop.SumLanes: "VADDPS", loop.DotLanes: "VADDPS", loop.MaxLanes: "VMAXPS", loop.MinLanes: "VMINPS",
	loop.ProdLanes: "VMULPS"}

// startReduction sets the lanes to the neutral element.
func (e *rowEmitter) startReduction(v loop.Val) {
	var regs [2]int
	halves := 2
	if e.t.wide {
		halves = 1
	}
	bits := map[loop.Code]uint32{loop.MaxLanes: 0xff800000, loop.MinLanes: 0x7f800000, loop.ProdLanes: 0x3f800000}[e.k.Insts[v].Code]
	for h := range halves {
		regs[h] = e.take()
		r := e.vec(regs[h])
		if bits == 0 {
			e.i(e.bitwise("XOR"), r, r, r)
		} else {
			e.load(bits, r)
		}
	}
	e.acc[v] = regs
}

// accumulate adds the current lanes to a reduction; in a tail, only the valid ones.
func (e *rowEmitter) accumulate(v loop.Val) {
	in := &e.k.Insts[v]
	acc := e.vec(e.acc[v][e.half])
	x, t1 := e.reg(in.Args[0])
	if e.tail && !e.t.wide {
		e.accumulateTail(in, acc, x)
		e.drop(t1)
		return
	}
	mask := []string{}
	if e.tail {
		mask = append(mask, "K1")
	}
	if in.Code == loop.DotLanes {
		y, t2 := e.reg(in.Args[1])
		e.i("VFMADD231PS", append([]string{y, x}, append(mask, acc)...)...)
		e.drop(t2)
	} else {
		e.i(reduceOp[in.Code], append([]string{acc, x}, append(mask, acc)...)...)
	}
	e.drop(t1)
}

func (e *rowEmitter) accumulateTail(in *loop.Inst, acc, x string) {
	tmp := e.take()
	t := e.vec(tmp)
	if in.Code == loop.DotLanes {
		y, t2 := e.reg(in.Args[1])
		e.i("VMOVAPS", acc, t)
		e.i("VFMADD231PS", y, x, t)
		e.drop(t2)
	} else {
		e.i(reduceOp[in.Code], acc, x, t)
	}
	e.i("VBLENDVPS", "Y15", t, acc, acc)
	e.drop(tmp)
}

// tree combines the sixteen lanes by the fixed tree 8, 4, 2, 1 and spreads the result over all lanes.
func (e *rowEmitter) tree(v loop.Val) {
	op := reduceOp[e.k.Insts[v].Code]
	regs := e.acc[v]
	lo := e.vec(regs[0])
	tmp := e.take()
	t := e.vec(tmp)
	if e.t.wide {
		e.i("VEXTRACTF64X4", "$1", lo, ymm(t))
		e.i(op, ymm(t), ymm(lo), ymm(lo))
	} else {
		e.i(op, e.vec(regs[1]), lo, lo)
		e.give(regs[1])
	}
	if e.t.wide {
		e.i("VEXTRACTF32X4", "$1", ymm(lo), xmm(t))
	} else {
		e.i("VEXTRACTF128", "$1", ymm(lo), xmm(t))
	}
	e.i(op, xmm(t), xmm(lo), xmm(lo))
	for _, sel := range []string{"$0x0e", "$0x01"} {
		e.i("VPERMILPS", sel, xmm(lo), xmm(t))
		e.i(op, xmm(t), xmm(lo), xmm(lo))
	}
	e.i("VBROADCASTSS", xmm(lo), lo)
	e.give(tmp)
	e.regs[v] = regs[0]
	delete(e.acc, v)
	if _, used := e.last[v]; !used {
		e.release(v)
	}
}
