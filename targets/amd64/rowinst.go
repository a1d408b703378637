package amd64

import (
	"fmt"
	"math"
	"slices"

	"mmc/ir/loop"
)

// addr is the place of the current lanes in a buffer.
func (e *rowEmitter) addr(buf int) string {
	if e.walk != nil {
		return e.walkAddr(buf)
	}
	if e.k.Bufs[buf].Uniform {
		return fmt.Sprintf("(%s)", e.base(buf))
	}
	return fmt.Sprintf("%d(%s)(R15*1)", 32*e.half, e.base(buf))
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
	if bits == 0 {
		e.i("VXORPS", ymm(to), ymm(to), ymm(to))
	} else if e.t.wide {
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

// op prints d = f(a, b) for an instruction whose last source may be memory; outside a mask, if there is one, d is 0.
func (e *rowEmitter) op(name string, a string, b loop.Val, d string, mask ...string) {
	if e.isConst(b) {
		e.opBits(name, a, e.bitsOf(b), d, mask...)
		return
	}
	if len(mask) > 0 {
		name += ".Z"
	}
	e.i(name, slices.Concat([]string{e.vec(e.regs[b]), a}, mask, []string{d})...)
}

func (e *rowEmitter) opBits(name, a string, bits uint32, d string, mask ...string) {
	if e.t.wide {
		name += ".BCST"
	}
	if len(mask) > 0 {
		name += ".Z"
	}
	e.i(name, slices.Concat([]string{e.memory(bits), a}, mask, []string{d})...)
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

// inverses are the predicates that hold where the others do not.
var inverses = map[loop.Code]string{loop.Lt: "$21", loop.Le: "$22", loop.Eq: "$4"}

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
	case in.Code == loop.FMA && e.inPlace(v):
	case e.zero.chosen[v]:
		e.regs[v] = e.regs[in.Args[2]]
		delete(e.regs, in.Args[2])
	default:
		r := e.take()
		e.compute(v, e.vec(r))
		e.regs[v] = r
	}
}

// inPlace prints an FMA whose result takes the register of an operand that is not used again: the sum's or a factor's. It reports false,
// printing nothing, if there is none.
func (e *rowEmitter) inPlace(v loop.Val) bool {
	in := &e.k.Insts[v]
	a, b, c := in.Args[0], in.Args[1], in.Args[2]
	dies := func(v loop.Val) bool { return !e.isConst(v) && e.last[v] <= e.pos && !e.isShared(v) }
	over, mask := c, e.zeroMask(v)
	switch {
	case dies(c) && c != a && c != b:
		e.fma(a, b, c, e.vec(e.regs[c]), mask)
	case e.isConst(a) || e.isConst(b) || a == b:
		return false
	case dies(a) && a != c:
		over = a
		e.op("VFMADD213PS", e.vec(e.regs[b]), c, e.vec(e.regs[a]), mask...)
	case dies(b) && b != c:
		over = b
		e.op("VFMADD213PS", e.vec(e.regs[a]), c, e.vec(e.regs[b]), mask...)
	default:
		return false
	}
	e.regs[v] = e.regs[over]
	delete(e.regs, over)
	return true
}

func (e *rowEmitter) compute(v loop.Val, d string) {
	in := &e.k.Insts[v]
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
		e.fma(a, b, c, d, e.zeroMask(v))
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
	case loop.ExpBits:
		e.i("VPSLLD", "$23", x, d)
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

// fma is d = a*b + c: c goes to d first, unless it is there. Outside the mask, if there is one, d is 0.
func (e *rowEmitter) fma(a, b, c loop.Val, d string, mask []string) {
	if e.isConst(c) {
		e.load(e.bitsOf(c), d)
	} else if from := e.vec(e.regs[c]); from != d {
		e.i("VMOVAPS", from, d)
	}
	if e.isConst(a) {
		a, b = b, a
	}
	x, t := e.reg(a)
	e.op("VFMADD231PS", x, b, d, mask...)
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
		predicate := predicates[in.Code]
		if e.zero.inverse[v] {
			predicate = inverses[in.Code]
		}
		e.i("VCMPPS", predicate, y, x, fmt.Sprintf("K%d", k))
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
	if !e.t.wide && e.isConst(a) && e.bitsOf(a) == 0 && !e.isConst(b) {
		e.i("VANDNPS", e.vec(e.regs[b]), e.vec(e.regs[c]), d)
		return
	}
	x, t1 := e.reg(a)
	y, t2 := e.reg(b)
	if e.t.wide {
		e.i("VBLENDMPS", x, y, fmt.Sprintf("K%d", e.regs[c]), d)
	} else {
		e.i("VBLENDVPS", e.vec(e.regs[c]), x, y, d)
	}
	e.drop(t1, t2)
}
