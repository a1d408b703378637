package amd64

import "fmt"

// Packing kernels. Registers: DI the arguments, R8 a row, SI the offset in all rows, R9 where to write, R10 columns or lines left, CX how
// many of them now, R11 the step from line to line or a mask.

// The offsets of rt.Panel's fields.
const panelTo, panelN, panelStep = "128(DI)", "136(DI)", "144(DI)"

func (w *asm) packHead(t target, name, does string) {
	w.text("// %s %s\n// Requires: %s\n//\n// func %s(p *rt.Panel)\n", name, does, map[bool]string{true: "AVX512F", false: "AVX"}[t.wide], name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	w.i("MOVQ", "p+0(FP)", "DI")
	w.i("MOVQ", panelTo, "R9")
	w.i("MOVQ", panelN, "R10")
}

// columns makes sixteen rows of n elements the columns of a panel: blocks of sixteen by sixteen, or of eight by eight, are transposed in
// registers; of the last block as many columns are read and written as there are.
func (w *asm) columns(t target, name string) {
	w.packHead(t, name, "makes 16 rows of n elements the columns of a panel.\n//\tfor j in n { to[j,0:16] = from[0:16][j] }")
	width := 8
	if t.wide {
		width = 16
	}
	w.i("XORQ", "SI", "SI")
	w.i("JMP", "test")
	w.label("block")
	w.i("MOVQ", fmt.Sprintf("$%d", width), "CX")
	w.i("CMPQ", "R10", "CX")
	w.i("CMOVQLT", "R10", "CX")
	if t.wide {
		w.i("MOVQ", "$1", "R11")
		w.i("SHLQ", "CX", "R11")
		w.i("DECQ", "R11")
		w.i("KMOVW", "R11", "K1")
		w.transpose16()
	} else {
		w.i("LEAQ", w.laneTable(), "R11")
		w.i("NEGQ", "CX")
		w.i("LEAQ", "64(R11)(CX*4)", "R11")
		w.i("NEGQ", "CX")
		w.transpose8(0)
		w.transpose8(1)
	}
	w.label("stored")
	w.i("ADDQ", fmt.Sprintf("$%d", width*4), "SI")
	w.i("ADDQ", fmt.Sprintf("$%d", width*64), "R9")
	w.i("SUBQ", fmt.Sprintf("$%d", width), "R10")
	w.label("test")
	w.i("CMPQ", "R10", "$0")
	w.i("JGT", "block")
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

func z(n int) string { return fmt.Sprintf("Z%d", n) }

func y(n int) string { return fmt.Sprintf("Y%d", n) }

// interleave makes groups of four rows out of n registers, by way of the n behind them: register r+c then has, in each quarter q, element
// 4q+c of rows r … r+3.
func (w *asm) interleave(reg func(int) string, n int) {
	for r := 0; r < n; r += 2 {
		w.i("VUNPCKLPS", reg(r+1), reg(r), reg(n+r))
		w.i("VUNPCKHPS", reg(r+1), reg(r), reg(n+r+1))
	}
	for r := 0; r < n; r += 4 {
		for q := range 2 {
			w.i("VUNPCKLPD", reg(n+r+q+2), reg(n+r+q), reg(r+2*q))
			w.i("VUNPCKHPD", reg(n+r+q+2), reg(n+r+q), reg(r+2*q+1))
		}
	}
}

// transpose16 loads a block into Z0 … Z15, interleaves rows, then puts the quarters of registers together.
func (w *asm) transpose16() {
	for r := range 16 {
		w.i("MOVQ", fmt.Sprintf("%d(DI)", r*8), "R8")
		w.i("VMOVUPS.Z", "(R8)(SI*1)", "K1", z(r))
	}
	w.interleave(z, 16)
	for q := range 4 {
		w.i("VSHUFF32X4", "$0x44", z(4+q), z(q), z(16+q))
		w.i("VSHUFF32X4", "$0xEE", z(4+q), z(q), z(20+q))
		w.i("VSHUFF32X4", "$0x44", z(12+q), z(8+q), z(24+q))
		w.i("VSHUFF32X4", "$0xEE", z(12+q), z(8+q), z(28+q))
	}
	for j := range 16 {
		q, from := j%4, 16+j/8*4
		w.i("VSHUFF32X4", []string{"$0x88", "$0xDD"}[j/4%2], z(from+8+q), z(from+q), z(0))
		w.store(j, z(0), fmt.Sprintf("%d(R9)", j*64), "stored")
	}
}

// store writes column j of the block, or leaves for a label if there is none.
func (w *asm) store(j int, reg, to, done string) {
	if j > 0 {
		w.i("CMPQ", "CX", fmt.Sprintf("$%d", j))
		w.i("JLE", done)
	}
	w.i("VMOVUPS", reg, to)
}

// transpose8 does the eight rows of half h.
func (w *asm) transpose8(h int) {
	w.i("VMOVUPS", "(R11)", "Y8")
	for r := range 8 {
		w.i("MOVQ", fmt.Sprintf("%d(DI)", (8*h+r)*8), "R8")
		w.i("VMASKMOVPS", "(R8)(SI*1)", "Y8", y(r))
	}
	w.interleave(y, 8)
	for j := range 8 {
		w.i("VPERM2F128", []string{"$0x20", "$0x31"}[j/4], y(4+j%4), y(j%4), y(8))
		w.store(j, y(8), fmt.Sprintf("%d(R9)", j*64+h*32), []string{"half", "stored"}[h])
	}
	if h == 0 {
		w.label("half")
	}
}

// lines copies n lines of sixteen elements that lie a step apart.
func (w *asm) lines(t target, name string) {
	w.packHead(t, name, "copies n lines of 16 elements that lie a step apart.\n//\tfor j in n { to[j,0:16] = from[0][j*step:16] }")
	w.i("MOVQ", "0(DI)", "R8")
	w.i("MOVQ", panelStep, "R11")
	w.i("JMP", "test")
	w.label("line")
	if t.wide {
		w.i("VMOVUPS", "(R8)", "Z0")
		w.i("VMOVUPS", "Z0", "(R9)")
	} else {
		w.i("VMOVUPS", "(R8)", "Y0")
		w.i("VMOVUPS", "32(R8)", "Y1")
		w.i("VMOVUPS", "Y0", "(R9)")
		w.i("VMOVUPS", "Y1", "32(R9)")
	}
	w.i("ADDQ", "R11", "R8")
	w.i("ADDQ", "$64", "R9")
	w.label("test")
	w.i("DECQ", "R10")
	w.i("JGE", "line")
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}
