package arm64

import (
	"fmt"
	"strings"
)

// Tile kernels of bytes: the loop of the others, with a word of four bytes of i8 for an element of A and one for each lane of B, and sums of
// i32. Cores with FEAT_DotProd have an instruction for it. Others multiply to sixteen bits and add neighbours: registers of that loop are
// eight accumulators a row, of two places a lane each, then a register a row of A, V18 a word of A in every lane, V19 and V20 products, V21 …
// V24 B.

const (
	wideA               = 16
	wideWord, wideFirst = 18, 19
	wideB               = 21
	wideRows            = 2
)

// wideStep multiplies word k of the rows, in a lane of their registers, with that of the panel.
func (w *asm) wideStep(t tile, k, lane int) {
	for half := range 2 {
		w.i("FLDPQ", fmt.Sprintf("%d(R8)", k*64+half*32), fmt.Sprintf("(F%d, F%d)", wideB+half*2, wideB+half*2+1))
	}
	for r := range t.rows {
		w.v(dupLane(wideWord, t.a(r), lane))
		for c := range 4 {
			w.v(smull(wideFirst, wideB+c, wideWord))
			w.v(smull2(wideFirst+1, wideB+c, wideWord))
			w.v(sadalp(r*8+c*2, wideFirst))
			w.v(sadalp(r*8+c*2+1, wideFirst+1))
		}
	}
}

// bytesEnd adds what each column begins with, and makes f32 of the sums unless they are wanted as they are.
func (w *asm) bytesEnd(t tile) {
	if t.kind == wide {
		for acc := range t.rows * 4 {
			w.op("addp", acc, acc*2, acc*2+1)
		}
	}
	w.loadRow("R4", "R7", tmp)
	for acc := range t.rows * 4 {
		w.op("add", acc, acc, tmp+acc%4)
	}
	w.i("MOVD", "128(R0)", "R4")
	w.i("CBNZ", "R4", "integers")
	for acc := range t.rows * 4 {
		w.op("scvtf", acc, acc, 0)
	}
	w.label("integers")
}

func (w *asm) bytesHead(name string, t tile) {
	need := map[tileKind]string{dots: "NEON, FEAT_DotProd", wide: "NEON"}[t.kind]
	w.text("// %s computes c[%d,16] = a[%d,4k] * b[4k,16] + start of bytes.\n// Requires: %s\n//\tfor i in k, j in 4 { acc += a[0:%d,4i+j] * b[4i+j,0:16] }\n//\n// func %s(t *rt.Tile)\n",
		name, t.rows, t.rows, need, t.rows, name)
}

// narrow prints the kernel that makes bytes of whole numbers, sixteen at a time. Registers: R0 the arguments, R1 from, R2 to, R3 elements left.
func (w *asm) narrow(name string) {
	w.text("// %s makes bytes of n whole numbers.\n// Requires: NEON\n//\tfor i in n { to[i] = int(from[i]) - lo }\n//\n// func %s(n *rt.Narrow)\n", name, name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	w.i("MOVD", "n+0(FP)", "R0")
	for _, l := range [][2]string{{"0(R0)", "R1"}, {"8(R0)", "R2"}, {"16(R0)", "R3"}, {"24(R0)", "R4"}} {
		w.i("MOVD", l[0], l[1])
	}
	w.i("VDUP", "R4", "V4.S4")
	w.i("SUBS", "$16", "R3", "R3")
	w.i("BLT", "end")
	w.label("some")
	w.i("FLDPQ", "(R1)", "(F0, F1)")
	w.i("FLDPQ", "32(R1)", "(F2, F3)")
	for v := range 4 {
		w.op("fcvtns", v, v, 0)
		w.op("sub", v, v, 4)
	}
	w.v(uzp1(0, 0, 1, true))
	w.v(uzp1(2, 2, 3, true))
	w.v(uzp1(0, 0, 2, false))
	w.i("FMOVQ", "F0", "(R2)")
	w.i("ADD", "$64", "R1")
	w.i("ADD", "$16", "R2")
	w.i("SUBS", "$16", "R3", "R3")
	w.i("BGE", "some")
	w.label("end")
	w.i("RET")
	w.text("\n")
}

// bytes prints the kernels of bytes; it gives the expression that names them.
func (w *asm) bytes(decl *strings.Builder) string {
	w.narrow("narrow__neon")
	fmt.Fprintf(decl, "//go:noescape\nfunc narrow__neon(n *rt.Narrow)\n\n")
	gemm := func(rows int, kind tileKind, name string) string {
		return fmt.Sprintf("&rt.Gemm{Rows: %d, Panels: 1, Deep: true, Signed: true, Narrow: narrow__neon, Tiles: %s}", rows, w.tiles(decl, rows, kind, name))
	}
	return fmt.Sprintf("rt.BytesOf(rt.HasDotProd, %s, %s)", gemm(maxRows, dots, "tile_i8"), gemm(wideRows, wide, "tile_i8_wide"))
}
