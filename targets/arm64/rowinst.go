package arm64

import (
	"fmt"
	"math"

	"mmc/ir/loop"
)

var arithmetic = map[loop.Code]string{loop.Add: "fadd", loop.Sub: "fsub", loop.Mul: "fmul", loop.Div: "fdiv", loop.And: "and",
	loop.Or: "orr", loop.Xor: "eor", loop.Eq: "fcmeq"}

var unary = map[loop.Code]string{loop.Neg: "fneg", loop.Abs: "fabs", loop.Sqrt: "fsqrt", loop.Round: "frintn", loop.Floor: "frintm",
	loop.Ceil: "frintp", loop.Trunc: "frintz", loop.Not: "not"}

// reversed comparisons: a < b is b > a.
var reversed = map[loop.Code]string{loop.Lt: "fcmgt", loop.Le: "fcmge"}

// inst prints one instruction; its operands' registers are freed by step.
func (e *rowEmitter) inst(v loop.Val) {
	in := &e.k.Insts[v]
	switch {
	case in.Code == loop.Const:
	case in.Code == loop.Store:
		e.store(in)
	case in.Code.Reduction():
		e.accumulate(v)
	case in.Code == loop.FMA && e.endsHere(in):
		r := e.regs[in.Args[2]]
		e.compute(in, r)
		delete(e.regs, in.Args[2])
		e.regs[v] = r
	default:
		r := e.take()
		e.compute(in, r)
		e.regs[v] = r
	}
}

// endsHere reports whether an FMA is the last use of its third operand, whose register can take the result.
func (e *rowEmitter) endsHere(in *loop.Inst) bool {
	c := in.Args[2]
	return e.k.Insts[c].Code != loop.Const && e.last[c] <= e.pos && !e.isShared(c) && c != in.Args[0] && c != in.Args[1]
}

func (e *rowEmitter) compute(in *loop.Inst, d int) {
	switch in.Code {
	case loop.Load:
		e.loadLanes(in.Buf, d)
		return
	case loop.Len:
		e.i("MOVD", "n+0(FP)", "R11")
		e.i("SCVTFS", "R11", fmt.Sprintf("F%d", d))
		e.v(dupLane(d, d, 0))
		return
	case loop.FMA:
		e.fma(in, d)
		return
	}
	x, t1 := e.reg(in.Args[0])
	if in.Code == loop.ExpBits {
		e.v(shl(d, x, 23))
		e.drop(t1)
		return
	}
	if name := unary[in.Code]; name != "" {
		e.op(name, d, x, 0)
		e.drop(t1)
		return
	}
	y, t2 := e.reg(in.Args[1])
	e.binary(in, d, x, y)
	e.drop(t1, t2)
}

func (e *rowEmitter) binary(in *loop.Inst, d, x, y int) {
	switch {
	case arithmetic[in.Code] != "":
		e.op(arithmetic[in.Code], d, x, y)
	case reversed[in.Code] != "":
		e.op(reversed[in.Code], d, y, x)
	case in.Code == loop.Min || in.Code == loop.Max:
		e.extreme(in.Code, d, x, y)
	case in.Code == loop.Select:
		z, t := e.reg(in.Args[2])
		e.op("orr", d, x, x)
		e.op("bsl", d, y, z)
		e.drop(t)
	case in.Code == loop.CopySign:
		e.load(signBit, d)
		e.op("bsl", d, y, x)
	case in.Code == loop.Scale:
		e.scale(d, x, y)
	default:
		panic(fmt.Sprintf("arm64: no instruction for %v", in.Code))
	}
}

const signBit = 0x80000000

// extreme is x < y ? x : y, or with >; d is neither.
func (e *rowEmitter) extreme(c loop.Code, d, x, y int) {
	e.compareExtreme(c, d, x, y)
	e.op("bsl", d, x, y)
}

// compareExtreme is the lanes where x is the smaller, or the larger.
func (e *rowEmitter) compareExtreme(c loop.Code, d, x, y int) {
	if c == loop.Min || c == loop.MinLanes {
		x, y = y, x
	}
	e.op("fcmgt", d, x, y)
}

// fma is d = a*b + c: c goes to d first, unless it is there.
func (e *rowEmitter) fma(in *loop.Inst, d int) {
	if c := in.Args[2]; e.k.Insts[c].Code == loop.Const {
		e.load(math.Float32bits(float32(e.k.Insts[c].Imm)), d)
	} else if e.regs[c] != d {
		e.op("orr", d, e.regs[c], e.regs[c])
	}
	x, t1 := e.reg(in.Args[0])
	y, t2 := e.reg(in.Args[1])
	e.op("fmla", d, x, y)
	e.drop(t1, t2)
}

// scale is x * 2^n by two products with powers of two made from exponent bits.
func (e *rowEmitter) scale(d, x, n int) {
	h, p, bias := e.take(), e.take(), e.take()
	e.load(math.Float32bits(0.5), h)
	e.op("fmul", h, n, h)
	e.op("frintn", h, h, 0)
	e.load(127, bias)
	e.power(p, h, bias)
	e.op("fmul", d, x, p)
	e.op("fsub", h, n, h)
	e.power(p, h, bias)
	e.op("fmul", d, d, p)
	e.drop(h, p, bias)
}

// power is 2^n for integral n in the range of normal numbers.
func (e *rowEmitter) power(d, n, bias int) {
	e.op("fcvtns", d, n, 0)
	e.op("add", d, d, bias)
	e.v(shl(d, d, 23))
}

func (e *rowEmitter) loadLanes(buf, d int) {
	if e.walk != nil {
		e.walkLoad(buf, d)
		return
	}
	if e.k.Bufs[buf].Uniform {
		e.i("VLD1R", e.addr(buf), fmt.Sprintf("[V%d.S4]", d))
		return
	}
	e.i("FMOVQ", e.addr(buf), fmt.Sprintf("F%d", d))
}

func (e *rowEmitter) store(in *loop.Inst) {
	x, t := e.reg(in.Args[0])
	defer e.drop(t)
	if e.walk != nil {
		e.walkStore(x, in.Buf)
		return
	}
	op := "FMOVQ"
	if e.k.Bufs[in.Buf].Uniform {
		op = "FMOVS"
	}
	e.i(op, fmt.Sprintf("F%d", x), e.addr(in.Buf))
}

var reduceOp = map[loop.Code]string{loop.SumLanes: "fadd", loop.DotLanes: "fadd", loop.ProdLanes: "fmul"}

var neutral = map[loop.Code]uint32{loop.MaxLanes: 0xff800000, loop.MinLanes: 0x7f800000, loop.ProdLanes: 0x3f800000}

// startReduction sets the lanes to the neutral element.
func (e *rowEmitter) startReduction(v loop.Val) {
	var regs [parts]int
	for p := range regs {
		regs[p] = e.take()
		if bits := neutral[e.k.Insts[v].Code]; bits != 0 {
			e.load(bits, regs[p])
		} else {
			e.op("eor", regs[p], regs[p], regs[p])
		}
	}
	e.acc[v] = regs
}

// accumulate adds the current lanes to a reduction; in a tail, only the valid ones.
func (e *rowEmitter) accumulate(v loop.Val) {
	in := &e.k.Insts[v]
	acc := e.acc[v][e.part]
	x, t1 := e.reg(in.Args[0])
	switch {
	case e.tail:
		e.accumulateTail(in, acc, x)
	case in.Code == loop.DotLanes:
		y, t2 := e.reg(in.Args[1])
		e.op("fmla", acc, x, y)
		e.drop(t2)
	case reduceOp[in.Code] != "":
		e.op(reduceOp[in.Code], acc, x, acc)
	default:
		better := e.take()
		e.compareExtreme(in.Code, better, x, acc)
		e.op("bit", acc, x, better)
		e.drop(better)
	}
	e.drop(t1)
}

func (e *rowEmitter) accumulateTail(in *loop.Inst, acc, x int) {
	next, mask := e.take(), e.take()
	if in.Code == loop.DotLanes {
		y, t := e.reg(in.Args[1])
		e.op("orr", next, acc, acc)
		e.op("fmla", next, x, y)
		e.drop(t)
	} else {
		e.combine(in.Code, next, x, acc)
	}
	e.i("FMOVQ", fmt.Sprintf("%d(R14)", 16*e.part), fmt.Sprintf("F%d", mask))
	e.op("bit", acc, next, mask)
	e.drop(next, mask)
}

// combine is one step of a reduction; d is neither x nor y.
func (e *rowEmitter) combine(c loop.Code, d, x, y int) {
	if name := reduceOp[c]; name != "" {
		e.op(name, d, x, y)
		return
	}
	e.extreme(c, d, x, y)
}

// tree combines the sixteen lanes by the fixed tree 8, 4, 2, 1 and spreads the result over all lanes.
func (e *rowEmitter) tree(v loop.Val) {
	c, r := e.k.Insts[v].Code, e.acc[v]
	a, b := e.take(), e.take()
	e.combine(c, a, r[0], r[2])
	e.combine(c, b, r[1], r[3])
	e.combine(c, r[0], a, b)
	for _, at := range []int{8, 4} {
		e.v(ext(b, r[0], r[0], at))
		e.combine(c, a, r[0], b)
		e.op("orr", r[0], a, a)
	}
	e.v(dupLane(r[0], r[0], 0))
	e.drop(a, b, r[1], r[2], r[3])
	e.regs[v] = r[0]
	delete(e.acc, v)
	if _, used := e.last[v]; !used {
		e.release(v)
	}
}
