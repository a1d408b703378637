package ptxsim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var errUnknown = errors.New("no meaning for this instruction")

// decode gives an instruction its meaning.
func (e *entry) decode(in *instr, op string, args []string) error {
	name, _, _ := strings.Cut(op, ".")
	switch {
	case op == "ret":
		in.kind = exit
		return nil
	case op == "bra":
		in.kind, in.target = branch, args[0]
		return nil
	case op == "bar.sync":
		in.kind = barrier
		return nil
	case name == "shfl":
		in.kind, in.mode = shuffle, op
		if args[3] != "0x101f" || args[4] != "0xffffffff" {
			return errUnknown
		}
		in.regs = []int{e.reg(args[0]), e.reg(args[1]), e.reg(args[2])}
		return nil
	case name == "mma":
		return e.product(in, op, args)
	case op == warpSync:
		in.kind, in.mode = shuffle, op
		return nil
	case name == "mbarrier", name == "wgmma", name == "fence", strings.HasPrefix(op, "cp.async.bulk"):
		return e.hopper(in, op, args)
	case name == "cp":
		return e.async(in, op, args)
	case name == "ldmatrix":
		return e.matrices(in, op, args)
	case name == "ld" || name == "st":
		return e.memory(in, op, args)
	case strings.HasPrefix(args[len(args)-1], "%") && strings.Contains(args[len(args)-1], "id."):
		return e.special(in, args)
	}
	return e.arithmetic(in, op, args)
}

// special reads the thread's or block's place.
func (e *entry) special(in *instr, args []string) error {
	d := e.reg(args[0])
	axis := int(args[1][len(args[1])-1] - 'x')
	switch args[1][:len(args[1])-1] {
	case "%tid.":
		if axis != 0 {
			return errUnknown
		}
		in.run = func(t *thread) error { t.regs[d] = uint64(t.id); return nil }
	case "%ctaid.":
		in.run = func(t *thread) error { t.regs[d] = uint64(t.block.at[axis]); return nil }
	default:
		return errUnknown
	}
	return nil
}

// memory decodes loads and stores: ld.space[.v4].type and st.space.type.
func (e *entry) memory(in *instr, op string, args []string) error {
	parts := strings.Split(op, ".")
	space, kind := parts[1], parts[len(parts)-1]
	bytes, err := strconv.Atoi(kind[1:])
	if err != nil {
		return errUnknown
	}
	bytes /= 8
	load := parts[0] == "ld"
	at, value := args[0], args[len(args)-1]
	if load {
		at, value = value, at
	}
	sub := memory.FindStringSubmatch(at)
	if sub == nil {
		return errUnknown
	}
	off, _ := strconv.Atoi(sub[2])
	var regs []int
	for _, r := range operands(strings.Trim(value, "{}")) {
		regs = append(regs, e.reg(r))
	}
	base := e.reg(sub[1])
	signed := kind[0] == 's'
	in.run = func(t *thread) error {
		p, err := t.memory(space, t.regs[base]+uint64(off), bytes*len(regs), load)
		if err != nil {
			return err
		}
		for i, r := range regs {
			if load {
				t.regs[r] = read(p[i*bytes:], bytes, signed)
			} else {
				write(p[i*bytes:], bytes, t.regs[r])
			}
		}
		return nil
	}
	return nil
}

func read(p []byte, n int, signed bool) uint64 {
	v := uint64(0)
	for i := range n {
		v |= uint64(p[i]) << (8 * i)
	}
	if signed {
		shift := 64 - 8*n
		v = uint64(int64(v<<shift) >> shift)
	}
	return v
}

func write(p []byte, n int, v uint64) {
	for i := range n {
		p[i] = byte(v >> (8 * i))
	}
}

// arithmetic decodes instructions from registers to one register.
func (e *entry) arithmetic(in *instr, op string, args []string) error {
	f, ok := functions[op]
	if !ok {
		return errUnknown
	}
	d := e.reg(args[0])
	var r [4]int
	for i, a := range args[1:] {
		r[i] = e.reg(a)
	}
	switch f := f.(type) {
	case func(a uint64) uint64:
		in.run = func(t *thread) error { t.regs[d] = f(t.regs[r[0]]); return nil }
	case func(a, b uint64) uint64:
		in.run = func(t *thread) error { t.regs[d] = f(t.regs[r[0]], t.regs[r[1]]); return nil }
	case func(a, b, c uint64) uint64:
		in.run = func(t *thread) error { t.regs[d] = f(t.regs[r[0]], t.regs[r[1]], t.regs[r[2]]); return nil }
	default:
		return errUnknown
	}
	if n := arity(f); n != len(args)-1 {
		return fmt.Errorf("%d operands, want %d", len(args)-1, n)
	}
	return nil
}

func arity(f any) int {
	switch f.(type) {
	case func(a uint64) uint64:
		return 1
	case func(a, b uint64) uint64:
		return 2
	}
	return 3
}

type (
	fn1 = func(a uint64) uint64
	fn2 = func(a, b uint64) uint64
	fn3 = func(a, b, c uint64) uint64
)

// functions are the meanings, from the PTX ISA's instruction descriptions.
var functions = map[string]any{
	"mov.u32": fn1(low), "mov.b32": fn1(low), "mov.f32": fn1(low), "mov.u64": fn1(same), "mov.b64": fn1(same), "mov.f64": fn1(same),

	"add.s32": fn2(func(a, b uint64) uint64 { return low(a + b) }), "add.u32": fn2(func(a, b uint64) uint64 { return low(a + b) }),
	"sub.u32":    fn2(func(a, b uint64) uint64 { return low(a - b) }),
	"mul.lo.u32": fn2(func(a, b uint64) uint64 { return low(a * b) }),
	"mad.lo.u32": fn3(func(a, b, c uint64) uint64 { return low(a*b + c) }),
	"dp4a.u32.s32": fn3(func(a, b, c uint64) uint64 {
		for i := range 4 {
			c += uint64(int64(a>>(8*i)&255) * int64(int8(b>>(8*i))))
		}
		return low(c)
	}),
	"div.u32": fn2(func(a, b uint64) uint64 { return quotient(low(a), low(b)) }),
	"rem.u32": fn2(func(a, b uint64) uint64 { return low(a) - quotient(low(a), low(b))*low(b) }),
	"min.u32": fn2(func(a, b uint64) uint64 { return min(low(a), low(b)) }),
	"shr.u32": fn2(func(a, b uint64) uint64 { return low(a) >> b }), "shl.b32": fn2(func(a, b uint64) uint64 { return low(a << b) }),
	"xor.b32": fn2(func(a, b uint64) uint64 { return low(a ^ b) }), "cvta.param.u64": fn1(func(a uint64) uint64 { return a + genericParam }),
	"and.b32": fn2(func(a, b uint64) uint64 { return low(a & b) }), "mul.wide.u32": fn2(func(a, b uint64) uint64 { return low(a) * low(b) }),

	"add.s64": fn2(func(a, b uint64) uint64 { return a + b }), "sub.s64": fn2(func(a, b uint64) uint64 { return a - b }),
	"mul.lo.s64": fn2(func(a, b uint64) uint64 { return a * b }), "mad.lo.s64": fn3(func(a, b, c uint64) uint64 { return a*b + c }),
	"shl.b64": fn2(func(a, b uint64) uint64 { return a << b }),
	"neg.s64": fn1(func(a uint64) uint64 { return -a }), "abs.s64": fn1(func(a uint64) uint64 { return uint64(max(int64(a), -int64(a))) }),
	"min.s64": fn2(func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) }),
	"max.s64": fn2(func(a, b uint64) uint64 { return uint64(max(int64(a), int64(b))) }),

	"and.pred": fn2(func(a, b uint64) uint64 { return a & b }), "or.pred": fn2(func(a, b uint64) uint64 { return a | b }),
	"xor.pred": fn2(func(a, b uint64) uint64 { return a ^ b }), "not.pred": fn1(func(a uint64) uint64 { return a ^ 1 }),
	"selp.b32": fn3(choose), "selp.f32": fn3(choose), "selp.b64": fn3(choose), "selp.f64": fn3(choose),

	"setp.eq.u32": fn2(func(a, b uint64) uint64 { return truth(low(a) == low(b)) }), "setp.ne.u32": fn2(func(a, b uint64) uint64 { return truth(low(a) != low(b)) }),
	"setp.lt.u32": fn2(func(a, b uint64) uint64 { return truth(low(a) < low(b)) }), "setp.ge.u32": fn2(func(a, b uint64) uint64 { return truth(low(a) >= low(b)) }),
	"setp.eq.and.u32": fn3(func(a, b, p uint64) uint64 { return truth(low(a) == low(b)) & p }),
	"setp.lt.and.u32": fn3(func(a, b, p uint64) uint64 { return truth(low(a) < low(b)) & p }),
	"setp.lt.s64":     fn2(func(a, b uint64) uint64 { return truth(int64(a) < int64(b)) }), "setp.le.s64": fn2(func(a, b uint64) uint64 { return truth(int64(a) <= int64(b)) }),
	"setp.eq.s64": fn2(func(a, b uint64) uint64 { return truth(a == b) }), "setp.ne.s64": fn2(func(a, b uint64) uint64 { return truth(a != b) }),
	"setp.ge.u64": fn2(func(a, b uint64) uint64 { return truth(a >= b) }),
	"setp.lt.f32": fn2(func(a, b uint64) uint64 { return truth(f32(a) < f32(b)) }), "setp.le.f32": fn2(func(a, b uint64) uint64 { return truth(f32(a) <= f32(b)) }),
	"setp.gt.f32": fn2(func(a, b uint64) uint64 { return truth(f32(a) > f32(b)) }), "setp.eq.f32": fn2(func(a, b uint64) uint64 { return truth(f32(a) == f32(b)) }),
	"setp.neu.f32": fn2(func(a, b uint64) uint64 { return truth(f32(a) != f32(b)) }),
	"setp.lt.f64":  fn2(func(a, b uint64) uint64 { return truth(f64(a) < f64(b)) }), "setp.le.f64": fn2(func(a, b uint64) uint64 { return truth(f64(a) <= f64(b)) }),
	"setp.gt.f64": fn2(func(a, b uint64) uint64 { return truth(f64(a) > f64(b)) }), "setp.eq.f64": fn2(func(a, b uint64) uint64 { return truth(f64(a) == f64(b)) }),
	"setp.neu.f64": fn2(func(a, b uint64) uint64 { return truth(f64(a) != f64(b)) }),

	"add.rn.f32": fn2(func(a, b uint64) uint64 { return bits32(f32(a) + f32(b)) }), "sub.rn.f32": fn2(func(a, b uint64) uint64 { return bits32(f32(a) - f32(b)) }),
	"mul.rn.f32": fn2(func(a, b uint64) uint64 { return bits32(f32(a) * f32(b)) }), "div.rn.f32": fn2(func(a, b uint64) uint64 { return bits32(f32(a) / f32(b)) }),
	"fma.rn.f32":  fn3(func(a, b, c uint64) uint64 { return bits32(fma(f32(a), f32(b), f32(c))) }),
	"sqrt.rn.f32": fn1(func(a uint64) uint64 { return bits32(float32(math.Sqrt(float64(f32(a))))) }),
	"neg.f32":     fn1(func(a uint64) uint64 { return low(a) ^ 1<<31 }), "abs.f32": fn1(func(a uint64) uint64 { return low(a) &^ (1 << 31) }),
	"copysign.f32": fn2(func(a, b uint64) uint64 { return low(a)&(1<<31) | low(b)&^(1<<31) }),
	"add.rn.f64":   fn2(func(a, b uint64) uint64 { return bits64(f64(a) + f64(b)) }), "sub.rn.f64": fn2(func(a, b uint64) uint64 { return bits64(f64(a) - f64(b)) }),
	"mul.rn.f64": fn2(func(a, b uint64) uint64 { return bits64(f64(a) * f64(b)) }), "div.rn.f64": fn2(func(a, b uint64) uint64 { return bits64(f64(a) / f64(b)) }),
	"sqrt.rn.f64": fn1(func(a uint64) uint64 { return bits64(math.Sqrt(f64(a))) }),
	"neg.f64":     fn1(func(a uint64) uint64 { return a ^ 1<<63 }), "abs.f64": fn1(func(a uint64) uint64 { return a &^ (1 << 63) }),

	"cvt.rni.f32.f32": fn1(func(a uint64) uint64 { return bits32(float32(math.RoundToEven(float64(f32(a))))) }),
	"cvt.rmi.f32.f32": fn1(func(a uint64) uint64 { return bits32(float32(math.Floor(float64(f32(a))))) }),
	"cvt.rpi.f32.f32": fn1(func(a uint64) uint64 { return bits32(float32(math.Ceil(float64(f32(a))))) }),
	"cvt.rzi.f32.f32": fn1(func(a uint64) uint64 { return bits32(float32(math.Trunc(float64(f32(a))))) }),
	"cvt.rni.f64.f64": fn1(func(a uint64) uint64 { return bits64(math.RoundToEven(f64(a))) }),
	"cvt.rmi.f64.f64": fn1(func(a uint64) uint64 { return bits64(math.Floor(f64(a))) }),
	"cvt.rpi.f64.f64": fn1(func(a uint64) uint64 { return bits64(math.Ceil(f64(a))) }),
	"cvt.rzi.f64.f64": fn1(func(a uint64) uint64 { return bits64(math.Trunc(f64(a))) }),
	"cvt.rni.s32.f32": fn1(func(a uint64) uint64 {
		return low(saturate(math.RoundToEven(float64(f32(a))), 32))
	}),
	"cvt.rzi.s64.f32": fn1(func(a uint64) uint64 { return saturate(float64(f32(a)), 64) }),
	"cvt.rzi.s64.f64": fn1(func(a uint64) uint64 { return saturate(f64(a), 64) }),
	"cvt.rn.f32.u32":  fn1(func(a uint64) uint64 { return bits32(float32(uint32(a))) }),
	"cvt.rn.f32.s64":  fn1(func(a uint64) uint64 { return bits32(float32(int64(a))) }), "cvt.rn.f64.s64": fn1(func(a uint64) uint64 { return bits64(float64(int64(a))) }),
	"cvt.f64.f32": fn1(func(a uint64) uint64 { return bits64(float64(f32(a))) }), "cvt.rn.f32.f64": fn1(func(a uint64) uint64 { return bits32(float32(f64(a))) }),
	"cvt.rn.bf16x2.f32": fn2(func(a, b uint64) uint64 { return toBF16(f32(a))<<16 | toBF16(f32(b)) }),
	"cvt.rn.f16x2.f32":  fn2(func(a, b uint64) uint64 { return toF16(f32(a))<<16 | toF16(f32(b)) }),
	"cvt.rna.tf32.f32":  fn1(func(a uint64) uint64 { return toTF32(a) }),
	"cvt.u64.u32":       fn1(low), "cvt.u32.u64": fn1(low), "cvt.s64.u32": fn1(low),
	"cvt.s64.s8": fn1(func(a uint64) uint64 { return uint64(int64(int8(a))) }), "cvt.s64.u8": fn1(func(a uint64) uint64 { return a & 0xff }),
	"cvt.s64.s16": fn1(func(a uint64) uint64 { return uint64(int64(int16(a))) }), "cvt.s64.u16": fn1(func(a uint64) uint64 { return a & 0xffff }),
	"cvt.s64.s32": fn1(func(a uint64) uint64 { return uint64(int64(int32(a))) }),
}

func low(a uint64) uint64  { return a & math.MaxUint32 }
func same(a uint64) uint64 { return a }

func choose(a, b, p uint64) uint64 {
	if p != 0 {
		return a
	}
	return b
}

// quotient of a division by zero is all ones, as on the hardware.
func quotient(a, b uint64) uint64 {
	if b == 0 {
		return math.MaxUint32
	}
	return a / b
}

// saturate converts to an integer of 32 or 64 bits; NaN is 0 or, for 64 bits, the least value.
func saturate(f float64, bits int) uint64 {
	least, most := int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)
	switch {
	case f != f && bits == 32:
		return 0
	case f != f || f <= float64(least):
		return uint64(least)
	case f >= float64(most):
		return uint64(most)
	}
	return uint64(int64(f))
}

// fma rounds once: the f64 product is exact, and the sum is rounded to odd before it is rounded to f32.
func fma(a, b, c float32) float32 {
	p, z := float64(float64(a)*float64(b)), float64(c)
	s := p + z
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	v := s - p
	e := (p - (s - v)) + (z - v)
	u := math.Float64bits(s)
	if e != 0 && u&1 == 0 {
		if (e > 0) == (s > 0) {
			u++
		} else {
			u--
		}
	}
	return float32(math.Float64frombits(u))
}
