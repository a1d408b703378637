package ptx

import (
	"fmt"
	"math"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// body prints a kernel's instructions. Values live in registers of their class: f32, f64, bool as a predicate, and all integers (and
// raw halves) as sign- or zero-extended 64-bit words.
type body struct {
	*asm
	k      *loop.Kernel
	vals   map[loop.Val]string
	length string                                    // 32-bit register: elements of the row
	load   func(buf int) string                      // the current element of a buffer
	store  func(buf int, value string, e loop.Elem)  //
	reduce func(v loop.Val, in *loop.Inst, x string) // adds to a reduction
}

func class(e loop.Elem) string {
	switch e {
	case loop.F32:
		return "f"
	case loop.F64:
		return "d"
	case loop.Bool:
		return "p"
	}
	return "l"
}

// possible reports whether every instruction of a kernel has a form here: Go's math functions have none.
func possible(k *loop.Kernel) bool {
	for _, in := range k.Insts {
		if in.Code == loop.Call || in.Code == loop.Mod || in.Code == loop.Div && !in.Elem.Float() || in.Elem == loop.U64 {
			return false
		}
		if in.Code == loop.Convert && (half(in.Elem) || half(k.Insts[in.Args[0]].Elem)) {
			return false
		}
		if (in.Code == loop.Scale || in.Code == loop.ExpBits || in.Code == loop.FMA || in.Code == loop.CopySign) && in.Elem != loop.F32 {
			return false
		}
		if in.Code.Reduction() && in.Elem != loop.F32 {
			return false
		}
	}
	return len(k.Bufs) <= cuda.RowBufs
}

func half(e loop.Elem) bool { return e == loop.F16 || e == loop.BF16 }

var floatOps = map[loop.Code]string{loop.Add: "add.rn", loop.Sub: "sub.rn", loop.Mul: "mul.rn", loop.Div: "div.rn", loop.Sqrt: "sqrt.rn",
	loop.Neg: "neg", loop.Abs: "abs"}

var roundings = map[loop.Code]string{loop.Round: "cvt.rni", loop.Floor: "cvt.rmi", loop.Ceil: "cvt.rpi", loop.Trunc: "cvt.rzi"}

var integerOps = map[loop.Code]string{loop.Add: "add.s64", loop.Sub: "sub.s64", loop.Mul: "mul.lo.s64", loop.Neg: "neg.s64",
	loop.Abs: "abs.s64", loop.Min: "min.s64", loop.Max: "max.s64"}

var boolOps = map[loop.Code]string{loop.And: "and.pred", loop.Or: "or.pred", loop.Xor: "xor.pred", loop.Not: "not.pred"}

var compares = map[loop.Code]string{loop.Lt: "setp.lt", loop.Le: "setp.le", loop.Eq: "setp.eq"}

// inst prints one instruction.
func (b *body) inst(v loop.Val) {
	in := &b.k.Insts[v]
	switch {
	case in.Code == loop.Store:
		b.store(in.Buf, b.vals[in.Args[0]], b.k.Bufs[in.Buf].Elem)
	case in.Code.Reduction():
		b.reduce(v, in, b.vals[in.Args[0]])
	default:
		b.vals[v] = b.value(in)
	}
}

func (b *body) value(in *loop.Inst) string {
	var args []string
	for _, a := range in.Args {
		if a != loop.None {
			args = append(args, b.vals[a])
		}
	}
	switch in.Code {
	case loop.Const:
		return b.constant(in)
	case loop.Len:
		return b.set("f", "cvt.rn.f32.u32", b.length)
	case loop.Load:
		return b.load(in.Buf)
	case loop.Select:
		return b.choose(in.Elem, args[0], args[1], args[2])
	case loop.Convert:
		return b.convert(b.k.Insts[in.Args[0]].Elem, in.Elem, args[0])
	case loop.FMA:
		return b.set("f", "fma.rn.f32", args...)
	case loop.Scale:
		return b.scale(args[0], args[1])
	case loop.ExpBits:
		return b.expBits(b.set("r", "mov.b32", args[0]))
	case loop.CopySign:
		return b.set("f", "copysign.f32", args[1], args[0])
	}
	arg := b.k.Insts[in.Args[0]].Elem
	if name := compares[in.Code]; name != "" {
		return b.compare(name, arg, args)
	}
	switch {
	case arg == loop.Bool:
		return b.set("p", boolOps[in.Code], args...)
	case arg.Float():
		return b.float(in.Code, arg, args)
	}
	return b.wrap(in.Elem, b.integer(in.Code, args))
}

func (b *body) float(c loop.Code, e loop.Elem, args []string) string {
	t := "." + e.String()
	if name := roundings[c]; name != "" {
		return b.set(class(e), name+t+t, args...)
	}
	if c == loop.Min || c == loop.Max {
		return b.extreme(c == loop.Min, e, args[0], args[1])
	}
	return b.set(class(e), floatOps[c]+t, args...)
}

// extreme is x < y ? x : y, or with >.
func (b *body) extreme(least bool, e loop.Elem, x, y string) string {
	name := "setp.gt."
	if least {
		name = "setp.lt."
	}
	p := b.set("p", name+e.String(), x, y)
	return b.set(class(e), "selp."+e.String(), x, y, p)
}

func (b *body) integer(c loop.Code, args []string) string {
	if roundings[c] != "" {
		return args[0]
	}
	return b.set("l", integerOps[c], args...)
}

// wrap keeps an integer in the range of its type.
func (b *body) wrap(e loop.Elem, x string) string {
	switch e {
	case loop.I64, loop.U64:
		return x
	}
	return b.set("l", "cvt.s64."+integerType(e), x)
}

// integerType is PTX's name of an integer type.
func integerType(e loop.Elem) string {
	sign := "s"
	if e == loop.U8 || e == loop.U16 || e == loop.U32 || half(e) || e == loop.Bool {
		sign = "u"
	}
	return fmt.Sprintf("%s%d", sign, e.Size()*8)
}

func (b *body) constant(in *loop.Inst) string {
	switch {
	case in.Elem == loop.F32:
		return b.set("f", "mov.f32", fmt.Sprintf("0f%08X", math.Float32bits(float32(in.Imm))))
	case in.Elem == loop.F64:
		return b.set("d", "mov.f64", fmt.Sprintf("0d%016X", math.Float64bits(in.Imm)))
	case in.Elem == loop.Bool:
		return b.set("p", "setp.ne.u32", num(int(in.Int)), "0")
	}
	return b.set("l", "mov.b64", fmt.Sprint(in.Int))
}

func (b *body) compare(name string, e loop.Elem, args []string) string {
	switch {
	case e == loop.Bool: // only equality has a meaning
		return b.set("p", "not.pred", b.set("p", "xor.pred", args...))
	case e.Float():
		return b.set("p", name+"."+e.String(), args...)
	}
	return b.set("p", name+".s64", args...)
}

func (b *body) choose(e loop.Elem, c, x, y string) string {
	switch class(e) {
	case "p":
		p, q := b.set("p", "and.pred", c, x), b.set("p", "not.pred", c)
		return b.set("p", "or.pred", p, b.set("p", "and.pred", q, y))
	case "l":
		return b.set("l", "selp.b64", x, y, c)
	}
	return b.set(class(e), "selp."+e.String(), x, y, c)
}

// scale is x * 2^n by two products with powers of two made from exponent bits.
func (b *body) scale(x, n string) string {
	h := b.set("f", "cvt.rni.f32.f32", b.set("f", "mul.rn.f32", n, "0f3F000000"))
	y := b.set("f", "mul.rn.f32", x, b.power(h))
	return b.set("f", "mul.rn.f32", y, b.power(b.set("f", "sub.rn.f32", n, h)))
}

func (b *body) power(n string) string {
	e := b.set("r", "add.s32", b.set("r", "cvt.rni.s32.f32", n), "127")
	return b.expBits(e)
}

// expBits is the float whose bits are those of e, shifted into the exponent's.
func (b *body) expBits(e string) string { return b.set("f", "mov.b32", b.set("r", "shl.b32", e, "23")) }

func (b *body) convert(from, to loop.Elem, x string) string {
	switch {
	case from == to:
		return x
	case from == loop.Bool && to.Float():
		return b.set(class(to), "selp."+to.String(), floatOne[to], floatZero[to], x)
	case from == loop.Bool:
		return b.set("l", "selp.b64", "1", "0", x)
	case to == loop.Bool && from.Float():
		return b.set("p", "setp.neu."+from.String(), x, floatZero[from])
	case to == loop.Bool:
		return b.set("p", "setp.ne.s64", x, "0")
	case from == loop.F32 && to == loop.F64:
		return b.set("d", "cvt.f64.f32", x)
	case from == loop.F64 && to == loop.F32:
		return b.set("f", "cvt.rn.f32.f64", x)
	case from.Float():
		return b.wrap(to, b.toInteger(from, x))
	case to.Float():
		return b.set(class(to), "cvt.rn."+to.String()+".s64", x)
	}
	return b.wrap(to, x)
}

var floatOne = map[loop.Elem]string{loop.F32: "0f3F800000", loop.F64: "0d3FF0000000000000"}

var floatZero = map[loop.Elem]string{loop.F32: "0f00000000", loop.F64: "0d0000000000000000"}

// toInteger truncates, saturating; NaN gives 0.
func (b *body) toInteger(from loop.Elem, x string) string {
	n := b.set("l", "cvt.rzi.s64."+from.String(), x)
	p := b.set("p", "setp.eq."+from.String(), x, x)
	return b.set("l", "selp.b64", n, "0", p)
}

// loadElem and storeElem move one element between memory and a value's register.
func (a *asm) loadElem(e loop.Elem, space, addr string) string {
	switch {
	case e == loop.F32 || e == loop.F64:
		return a.set(class(e), "ld."+space+"."+e.String(), "["+addr+"]")
	case e == loop.Bool:
		return a.set("p", "setp.ne.s64", a.set("l", "ld."+space+".u8", "["+addr+"]"), "0")
	}
	return a.set("l", "ld."+space+"."+integerType(e), "["+addr+"]")
}

func (a *asm) storeElem(e loop.Elem, space, addr, x string) {
	switch {
	case e == loop.F32 || e == loop.F64:
		a.i("st.%s.%s [%s], %s", space, e, addr, x)
	case e == loop.Bool:
		a.i("st.%s.u8 [%s], %s", space, addr, a.set("l", "selp.b64", "1", "0", x))
	default:
		a.i("st.%s.u%d [%s], %s", space, e.Size()*8, addr, x)
	}
}
