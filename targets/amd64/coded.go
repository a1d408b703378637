package amd64

import (
	"fmt"
	"strings"

	"mmc/codegen"
)

// coding is a way to write weights, as rt.Coding numbers them.
type coding struct {
	name string
	bits int
	half bool // f16
}

var codings = [codegen.Codings]coding{{"u4", 4, false}, {"u8", 8, false}, {"bf16", 16, false}, {"f16", 16, true}}

// blocks reports whether the numbers have zeros and scales.
func (c coding) blocks() bool { return c.bits < 16 }

// load is the instruction that widens so many numbers to a register of words.
func (c coding) load() string {
	switch {
	case c.half:
		return "VCVTPH2PS"
	case c.bits == 16:
		return "VPMOVZXWD"
	}
	return "VPMOVZXBD"
}

// bytes is how many a number takes where it is widened from.
func (c coding) bytes() int { return max(1, c.bits/8) }

// unpack prints the kernel that makes f32 of coded weights. Registers: DI the arguments, R8 from, R9 to, R10 blocks left, R11 the steps of
// one, CX those left of it, DX how far ahead to prefetch; Z0 zeros, Z1 scales, Z2 to Z3 the numbers of two steps, Z4 what keeps four bits; AVX2 has the second half
// of each eight registers behind.
func (w *asm) unpack(t target, name string, c coding) {
	w.text("// %s makes f32 of weights of %s.\n// Requires: %s\n", name, c.name, map[bool]string{true: "AVX512F", false: "AVX2, F16C"}[t.wide])
	w.text("//\tfor b in blocks, r in rows { to[b,r,0:16] = %s }\n//\n// func %s(u *rt.Unpack)\n", c.meaning("from[b,r,0:16]"), name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	for _, l := range [][2]string{{"u+0(FP)", "DI"}, {"0(DI)", "R8"}, {"8(DI)", "R9"}, {"16(DI)", "R10"}, {"24(DI)", "R11"}, {"32(DI)", "DX"}} {
		w.i("MOVQ", l[0], l[1])
	}
	v := vectors{w, t.wide}
	v.each(func(reg func(int) string, _ int) { w.i("VPBROADCASTD", w.constant(15, 1), reg(4)) })
	w.label("block")
	if c.blocks() {
		v.each(func(reg func(int) string, half int) {
			w.i("VPMOVZXBD", fmt.Sprintf("%d(R8)", half*8), reg(0))
			w.i("VMOVUPS", fmt.Sprintf("%d(R8)", 16+half*32), reg(1))
		})
		w.i("ADDQ", "$80", "R8")
	}
	w.i("MOVQ", "R11", "CX")
	w.label("rows")
	steps := max(1, 8/c.bits)
	v.each(func(reg func(int) string, half int) {
		w.i(c.load(), fmt.Sprintf("%d(R8)", half*8*c.bytes()), reg(2))
		if steps == 2 {
			w.i("VPSRLD", "$4", reg(2), reg(3))
			w.i(w.bit(t, "VPAND"), reg(4), reg(2), reg(2))
		}
		if c.bits == 16 && !c.half {
			w.i("VPSLLD", "$16", reg(2), reg(2))
		}
		for s := range steps {
			if c.blocks() {
				w.i("VPSUBD", reg(0), reg(2+s), reg(2+s))
				w.i("VCVTDQ2PS", reg(2+s), reg(2+s))
				w.i("VMULPS", reg(1), reg(2+s), reg(2+s))
			}
			w.i("VMOVUPS", reg(2+s), fmt.Sprintf("%d(R9)", s*64+half*32))
		}
	})
	w.i("PREFETCHT1", "(R8)(DX*1)")
	w.i("ADDQ", fmt.Sprintf("$%d", 16*c.bytes()), "R8")
	w.i("ADDQ", fmt.Sprintf("$%d", steps*64), "R9")
	w.i("SUBQ", fmt.Sprintf("$%d", steps), "CX")
	w.i("JGT", "rows")
	w.i("DECQ", "R10")
	w.i("JNZ", "block")
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

// meaning is what a number stands for.
func (c coding) meaning(q string) string {
	if c.blocks() {
		return "(" + q + " - zero) * scale"
	}
	return "f32(" + q + ")"
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

// codedRegs are the registers of a tile of coded weights behind its accumulators: for each part, which is a panel of AVX-512 or half of one
// of AVX2, 2^23 + zero, the scale, and the weights of two steps; then what is added to make 2^23 + q of q, and one for an element of A.
type codedRegs struct {
	tileRegs
	parts int
}

func (r codedRegs) reg(n int) string { return fmt.Sprintf("%s%d", r.prefix, r.rows*r.parts+n) }

func (r codedRegs) zero(part int) string  { return r.reg(part) }
func (r codedRegs) scale(part int) string { return r.reg(r.parts + part) }

// step is the register of the weights of step 0 or 1; AVX-512 has one pair for all panels, which are done one after the other.
func (r codedRegs) step(part, s int) string {
	if r.halves == 1 {
		part = 0
	}
	return r.reg(2*r.parts + 2*part + s)
}

func (r codedRegs) last(n int) string {
	pairs := 1
	if r.halves == 2 {
		pairs = r.parts
	}
	return r.reg(2*r.parts + 2*pairs + n)
}

func (r codedRegs) magic() string { return r.last(0) }
func (r codedRegs) low() string   { return r.last(1) } // keeps four bits: AVX-512
func (r codedRegs) one() string   { return r.last(1) } // an element of A: AVX2

// partAddr is where a part of a panel lies: off bytes from its start, and each a part's own.
func partAddr(part, halves, off, each int) string {
	if halves == 2 {
		return fmt.Sprintf("%d(BX)", off+part*each)
	}
	return fmt.Sprintf("%d(BX)%s", off, []string{"", "(DX*1)", "(DX*2)", "(R15*1)"}[part])
}

// codedTile prints a tile kernel that makes f32 of weights of some bits in registers. Registers beyond those of the others: DX and R15 the steps
// to panels one and three, R12 the steps of k in a block, R13 those left of it.
func (w *asm) codedTile(t target, name string, rows, panels int, cod coding) {
	r := codedRegs{t.tileRegs(rows, panels, coded), panels}
	if !t.wide {
		r.parts = 2 * panels
	}
	w.text("// %s computes c[%d,%d] = a[%d,k] * b[k,%d] + bias + res, or max(0, that), for b of %s.\n// Requires: %s\n", name, rows, panels*16, rows, panels*16, cod.name,
		map[bool]string{true: "AVX512F, AVX512DQ", false: "AVX2, FMA, F16C"}[t.wide])
	w.text("//\tfor i in k { acc += bcast(a[0:%d,i]) * (%s) }\n//\n// func %s(t *rt.Tile)\n", rows, cod.meaning(fmt.Sprintf("b[i,0:%d]", panels*16)), name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	for _, l := range [][2]string{{"t+0(FP)", "DI"}, {"0(DI)", "CX"}, {"8(DI)", "R8"}, {"16(DI)", "AX"}, {"24(DI)", "BX"}, {"32(DI)", "DX"}, {"144(DI)", "R12"}, {"8(R12)", "R12"}} {
		w.i("MOVQ", l[0], l[1])
	}
	w.i("LEAQ", "(DX)(DX*2)", "R15")
	for i := 1; i*3 < rows; i++ {
		w.i("LEAQ", fmt.Sprintf("(%s)(AX*2)", rowBase[i-1]), rowBase[i])
		w.i("ADDQ", "AX", rowBase[i])
	}
	w.start(t, r.tileRegs)
	w.i("VPBROADCASTD", w.constant(0x4b000000, 1), r.magic()) // 2^23
	if t.wide {
		w.i("VPBROADCASTD", w.constant(15, 1), r.low())
	}
	w.label("block")
	if cod.blocks() {
		for p := range r.parts {
			w.i("VPMOVZXBD", partAddr(p, r.halves, 0, 8), r.zero(p))
			w.i(w.bit(t, "VPOR"), r.magic(), r.zero(p), r.zero(p))
			w.i("VMOVUPS", partAddr(p, r.halves, 16, 32), r.scale(p))
		}
		w.i("ADDQ", "$80", "BX")
	}
	w.i("MOVQ", "R12", "R13")
	w.i("CMPQ", "CX", "R13")
	w.i("CMOVQLT", "CX", "R13")
	w.i("SUBQ", "R13", "CX")
	w.label("steps")
	for p := range r.parts {
		w.codedSteps(t, r, p, cod)
		if t.wide {
			w.codedProducts(r, p)
		}
	}
	if !t.wide {
		w.codedHalves(r)
	}
	w.i("ADDQ", fmt.Sprintf("$%d", 4*cod.bits), "BX")
	for i := 0; i*3 < rows; i++ {
		w.i("ADDQ", "$8", rowBase[i])
	}
	w.i("SUBQ", "$2", "R13")
	w.i("JGT", "steps")
	w.i("TESTQ", "CX", "CX")
	w.i("JGT", "block")
	w.finish(t, r.tileRegs)
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

// bit is a bitwise instruction on whole registers.
func (w *asm) bit(t target, op string) string {
	if t.wide {
		return op + "D"
	}
	return op
}

// codedSteps makes f32 of two steps of a part.
func (w *asm) codedSteps(t target, r codedRegs, p int, c coding) {
	first, second := r.step(p, 0), r.step(p, 1)
	each := 8 * c.bytes()
	w.i(c.load(), partAddr(p, r.halves, 0, each), first)
	if c.bits == 4 {
		w.i("VPSRLD", "$4", first, second)
	} else {
		w.i(c.load(), partAddr(p, r.halves, 2*each, each), second)
	}
	if !c.blocks() {
		for _, reg := range []string{first, second} {
			if !c.half {
				w.i("VPSLLD", "$16", reg, reg)
			}
		}
		return
	}
	switch {
	case c.bits == 8:
		w.i(w.bit(t, "VPOR"), r.magic(), first, first)
	case t.wide:
		w.i("VPTERNLOGD", "$0xEA", r.magic(), r.low(), first) // first & low | magic
	default:
		w.i("VPAND", w.constant(15, 8), first, first)
		w.i("VPOR", r.magic(), first, first)
	}
	w.i(w.bit(t, "VPOR"), r.magic(), second, second)
	for _, reg := range []string{first, second} {
		w.i("VSUBPS", r.zero(p), reg, reg)
		w.i("VMULPS", r.scale(p), reg, reg)
	}
}

// codedProducts multiplies two steps of the rows with those of a panel.
func (w *asm) codedProducts(r codedRegs, p int) {
	for row := range r.rows {
		for s := range 2 {
			w.i("VFMADD231PS.BCST", rowAddr(row, s), r.step(p, s), r.acc(row, p, 0))
		}
	}
}

// codedHalves multiplies two steps of the rows with those of both halves of a panel.
func (w *asm) codedHalves(r codedRegs) {
	for row := range r.rows {
		for s := range 2 {
			w.i("VBROADCASTSS", rowAddr(row, s), r.one())
			for h := range r.parts {
				w.i("VFMADD231PS", r.step(h, s), r.one(), r.acc(row, h/2, h%2))
			}
		}
	}
}

// coded prints the kernels of coded weights that are wanted; it gives the field of rt.Gemm that names them.
func (w *asm) coded(t target, decl *strings.Builder, wanted [codegen.Codings]bool) string {
	rows, panels := 2, 1
	if t.wide {
		rows, panels = 8, 4
	}
	// Registers are enough for so many panels: an accumulator a row, a zero and a scale each, and four for all.
	room := func(r int) int { return min(panels, max(28/(r+2), 1)) }
	var list []string
	for i, c := range codings {
		if !wanted[i] {
			continue
		}
		name := "unpack_" + c.name + t.suffix
		w.unpack(t, name, c)
		fmt.Fprintf(decl, "//go:noescape\nfunc %s(u *rt.Unpack)\n\n", name)
		tiles := tileTable(decl, rows, room, "tile_coded_"+c.name, t.suffix, func(name string, r, p int) { w.codedTile(t, name, r, p, c) })
		list = append(list, fmt.Sprintf("%d: {Unpack: %s, Few: &rt.Gemm{Rows: %d, Panels: %d, Tiles: %s}}", i, name, rows, panels, tiles))
	}
	return codegen.CodedField(list)
}
