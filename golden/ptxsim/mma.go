package ptxsim

import (
	"math"
	"strings"
)

// product decodes mma.sync of 16 x 8 results. regs holds four sums, then four words of A, two of B and four of C.
func (e *entry) product(in *instr, op string, args []string) error {
	in.kind, in.mode = shuffle, op
	if _, ok := operandTypes[op]; !ok || len(args) != 4 {
		return errUnknown
	}
	for _, list := range args {
		for _, r := range operands(strings.Trim(list, "{}")) {
			in.regs = append(in.regs, e.reg(r))
		}
	}
	if len(in.regs) != 14 {
		return errUnknown
	}
	return nil
}

// operandTypes read the values of a word, lowest first.
var operandTypes = map[string]func(word uint64) []float64{
	"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32": func(w uint64) []float64 { return []float64{fromBF16(w & 0xffff), fromBF16(w >> 16)} },
	"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32":   func(w uint64) []float64 { return []float64{fromF16(w & 0xffff), fromF16(w >> 16)} },
	"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32":  func(w uint64) []float64 { return []float64{float64(f32(w &^ 0x1fff))} },
}

// multiply is mma.sync of a warp (PTX ISA, matrix fragments for mma.m16n8k16 and m16n8k8): thread 4g+t has of A the words t and
// t+4 of rows g and g+8, of B those of column g, of C columns 2t and 2t+1 of rows g and g+8. Sums are formed in f64 and rounded once:
// the hardware's order is not specified.
func multiply(warp []thread, in *instr) {
	values := operandTypes[in.mode]
	var a [16][8][]float64
	var b [8][8][]float64
	for i := range warp {
		g, t, r := i/4, i%4, warp[i].regs
		a[g][t], a[g+8][t] = values(r[in.regs[4]]), values(r[in.regs[5]])
		a[g][t+4], a[g+8][t+4] = values(r[in.regs[6]]), values(r[in.regs[7]])
		b[g][t], b[g][t+4] = values(r[in.regs[8]]), values(r[in.regs[9]])
	}
	for i := range warp {
		g, t, r := i/4, i%4, warp[i].regs
		var out [4]uint64
		for k := range out {
			row, col := g+8*(k/2), 2*t+k%2
			sum := float64(f32(r[in.regs[10+k]]))
			for w := range 8 {
				for h := range a[row][w] {
					sum += float64(a[row][w][h] * b[col][w][h])
				}
			}
			out[k] = bits32(float32(sum))
		}
		for k, v := range out {
			r[in.regs[k]] = v
		}
		warp[i].pc, warp[i].state = warp[i].pc+1, ready
	}
}

// toBF16 rounds to nearest even; toTF32 to nearest, ties away.
func toBF16(f float32) uint64 {
	u := math.Float32bits(f)
	if f != f {
		return 0x7fff
	}
	return uint64((u + 0x7fff + u>>16&1) >> 16)
}

func fromBF16(h uint64) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

func toTF32(a uint64) uint64 {
	if f := f32(a); f != f || math.IsInf(float64(f), 0) {
		return a
	}
	return low(a+0x1000) &^ 0x1fff
}

// toF16 rounds to nearest even: the value is scaled so that the last bit kept is 1.
func toF16(f float32) uint64 {
	sign := uint64(math.Float32bits(f)>>16) & 0x8000
	x := math.Abs(float64(f))
	switch {
	case f != f:
		return 0x7fff
	case x >= 65520:
		return sign | 0x7c00
	}
	_, e := math.Frexp(x)
	e = max(e-11, -24)
	n := math.RoundToEven(math.Ldexp(x, -e))
	if n >= 2048 {
		n, e = n/2, e+1
	}
	if n < 1024 {
		return sign | uint64(n)
	}
	return sign | uint64(e+25)<<10 | uint64(n)&0x3ff
}

func fromF16(h uint64) float64 {
	e, m := int(h>>10&31), float64(h&0x3ff)
	v := math.Ldexp(m+1024, e-25)
	switch e {
	case 0:
		v = math.Ldexp(m, -24)
	case 31:
		v = math.Inf(1)
		if m != 0 {
			v = math.NaN()
		}
	}
	if h&0x8000 != 0 {
		v = -v
	}
	return v
}
