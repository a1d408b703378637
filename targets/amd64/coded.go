package amd64

import (
	"fmt"
	"strings"
)

// unpack prints the kernel that makes f32 of coded weights. Registers: DI the arguments, R8 from, R9 to, R10 blocks left, R11 the steps of
// one, CX those left of it; Z0 zeros, Z1 scales, Z2 to Z3 the numbers of two steps, Z4 what keeps four bits; AVX2 has the second half
// of each eight registers behind.
func (w *asm) unpack(t target, name string, bits int) {
	w.text("// %s makes f32 of weights of %d bits.\n// Requires: %s\n", name, bits, map[bool]string{true: "AVX512F", false: "AVX2"}[t.wide])
	w.text("//\tfor b in blocks, r in rows { to[b,r,0:16] = (from[b,r,0:16] - zero[b,0:16]) * scale[b,0:16] }\n//\n// func %s(u *rt.Unpack)\n", name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	for _, l := range [][2]string{{"u+0(FP)", "DI"}, {"0(DI)", "R8"}, {"8(DI)", "R9"}, {"16(DI)", "R10"}, {"24(DI)", "R11"}} {
		w.i("MOVQ", l[0], l[1])
	}
	v := vectors{w, t.wide}
	v.each(func(reg func(int) string, _ int) { w.i("VPBROADCASTD", w.constant(15, 1), reg(4)) })
	w.label("block")
	v.each(func(reg func(int) string, half int) {
		w.i("VPMOVZXBD", fmt.Sprintf("%d(R8)", half*8), reg(0))
		w.i("VMOVUPS", fmt.Sprintf("%d(R8)", 16+half*32), reg(1))
	})
	w.i("ADDQ", "$80", "R8")
	w.i("MOVQ", "R11", "CX")
	w.label("rows")
	steps := 8 / bits
	v.each(func(reg func(int) string, half int) {
		w.i("VPMOVZXBD", fmt.Sprintf("%d(R8)", half*8), reg(2))
		if steps == 2 {
			w.i("VPSRLD", "$4", reg(2), reg(3))
			w.i(map[bool]string{true: "VPANDD", false: "VPAND"}[t.wide], reg(4), reg(2), reg(2))
		}
		for s := range steps {
			w.i("VPSUBD", reg(0), reg(2+s), reg(2+s))
			w.i("VCVTDQ2PS", reg(2+s), reg(2+s))
			w.i("VMULPS", reg(1), reg(2+s), reg(2+s))
			w.i("VMOVUPS", reg(2+s), fmt.Sprintf("%d(R9)", s*64+half*32))
		}
	})
	w.i("ADDQ", "$16", "R8")
	w.i("ADDQ", fmt.Sprintf("$%d", steps*64), "R9")
	w.i("SUBQ", fmt.Sprintf("$%d", steps), "CX")
	w.i("JGT", "rows")
	w.i("DECQ", "R10")
	w.i("JNZ", "block")
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

// vectors are sixteen lanes: a register of AVX-512, or two of AVX2.
type vectors struct {
	*asm
	wide bool
}

// each prints for the whole, or for both halves: reg names its registers.
func (v vectors) each(f func(reg func(int) string, half int)) {
	if v.wide {
		f(z, 0)
		return
	}
	f(y, 0)
	f(func(n int) string { return y(n + 8) }, 1)
}

// coded prints the kernels of coded weights; it gives the fields of rt.Gemm that name them.
func (w *asm) coded(t target, decl *strings.Builder) string {
	fields := ""
	for _, bits := range []int{4, 8} {
		name := fmt.Sprintf("unpack%d%s", bits, t.suffix)
		w.unpack(t, name, bits)
		fmt.Fprintf(decl, "//go:noescape\nfunc %s(u *rt.Unpack)\n\n", name)
		fields += fmt.Sprintf(", Unpack%d: %s", bits, name)
	}
	return fields
}
