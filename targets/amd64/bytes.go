package amd64

import (
	"fmt"
	"strings"
)

// Tile kernels of bytes: the loop of the others, with a word of four bytes of u8 for an element of A and one of i8 for each lane of B, and sums
// of i32. AVX512_VNNI has an instruction for it. Without it, the bytes are widened to sixteen bits and multiplied in pairs, even places and odd
// ones apart, so that nothing saturates: as many instructions as the same product of f32 has, for a quarter of the weights' memory.

// pairB and pairA are where the registers of B and A begin where products are of pairs; after two of A come two for products and lowBytes.
var (
	pairB = map[bool]int{true: 16, false: 8}
	pairA = map[bool]int{true: 24, false: 12}
)

// lowBytes keeps the even bytes of a word.
const lowBytes = 0x00ff00ff

// tile sizes of the kinds: rows and panels.
func (t target) byteTile(kind tileKind) (rows, panels int) {
	switch {
	case kind == vnni:
		return t.rows, t.panels
	case t.wide:
		return 8, 2
	}
	return 4, 1
}

// product and low are the registers of pairStep.
func (r tileRegs) product() string { return fmt.Sprintf("%s%d", r.prefix, r.firstA+2) }
func (r tileRegs) low() string     { return fmt.Sprintf("%s%d", r.prefix, r.firstA+3) }

// pair is the register of the even or odd bytes of a half of a panel, widened.
func (r tileRegs) pair(panel, half, odd int) string {
	return fmt.Sprintf("%s%d", r.prefix, r.firstB+(panel*r.halves+half)*2+odd)
}

// pairStep multiplies word k of the rows with that of the panels.
func (w *asm) pairStep(r tileRegs, k int) {
	for p := range r.panels {
		for h := range r.halves {
			even, odd := r.pair(p, h, 0), r.pair(p, h, 1)
			w.i(map[bool]string{true: "VMOVDQU32", false: "VMOVDQU"}[r.halves == 1], panelAddr(p, k, h*32), odd)
			w.i("VPSLLW", "$8", odd, even)
			w.i("VPSRAW", "$8", even, even)
			w.i("VPSRAW", "$8", odd, odd)
		}
	}
	even, odd := r.a(0), r.a(1)
	for row := range r.rows {
		w.i("VPBROADCASTD", rowAddr(row, k), odd)
		w.i(map[bool]string{true: "VPANDD", false: "VPAND"}[r.halves == 1], r.low(), odd, even)
		w.i("VPSRLW", "$8", odd, odd)
		w.eachPart(r, row, func(p, h int, acc string) {
			for i, a := range []string{even, odd} {
				w.i("VPMADDWD", r.pair(p, h, i), a, r.product())
				w.i("VPADDD", r.product(), acc, acc)
			}
		})
	}
}

// bytesEnd adds what each column begins with, makes f32 of the sums unless they are wanted as they are, and stores.
func (w *asm) bytesEnd(t target, r tileRegs) {
	for p := range r.panels {
		for h := range r.halves {
			w.loadPart(t, r, p, fmt.Sprintf("%d(R9)", p*64+h*32), h, r.b(p, h))
			for row := range r.rows {
				w.i("VPADDD", r.b(p, h), r.acc(row, p, h), r.acc(row, p, h))
			}
		}
	}
	w.i("CMPQ", "128(DI)", "$0")
	w.i("JNE", "integers")
	for row := range r.rows {
		w.eachPart(r, row, func(_, _ int, acc string) { w.i("VCVTDQ2PS", acc, acc) })
	}
	w.label("integers")
	w.put(t, r)
}

func (w *asm) bytesHead(t target, name string, r tileRegs) {
	need := map[bool]string{true: "AVX512F, AVX512BW", false: "AVX2"}[t.wide]
	if r.kind == vnni {
		need = "AVX512F, AVX512_VNNI"
	}
	w.text("// %s computes c[%d,%d] = a[%d,4k] * b[4k,%d] + start of bytes.\n// Requires: %s\n", name, r.rows, r.panels*16, r.rows, r.panels*16, need)
	w.text("//\tfor i in k, j in 4 { acc += bcast(a[0:%d,4i+j]) * b[4i+j,0:%d] }\n//\n// func %s(t *rt.Tile)\n", r.rows, r.panels*16, name)
}

// narrow prints the kernel that makes bytes of whole numbers, sixteen at a time. Registers: DI the arguments, R8 from, R9 to, CX elements left.
func (w *asm) narrow(t target, name string) {
	w.text("// %s makes bytes of n whole numbers.\n// Requires: %s\n//\tfor i in n { to[i] = int(from[i]) - lo }\n//\n// func %s(n *rt.Narrow)\n",
		name, map[bool]string{true: "AVX512F", false: "AVX2"}[t.wide], name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	for _, l := range [][2]string{{"n+0(FP)", "DI"}, {"0(DI)", "R8"}, {"8(DI)", "R9"}, {"16(DI)", "CX"}} {
		w.i("MOVQ", l[0], l[1])
	}
	w.i("VPBROADCASTD", "24(DI)", map[bool]string{true: "Z1", false: "Y1"}[t.wide])
	w.i("SUBQ", "$16", "CX")
	w.i("JLT", "end")
	w.label("some")
	if t.wide {
		w.i("VCVTPS2DQ", "(R8)", "Z0")
		w.i("VPSUBD", "Z1", "Z0", "Z0")
		w.i("VPMOVDB", "Z0", "(R9)")
	} else {
		w.i("VCVTPS2DQ", "(R8)", "Y0")
		w.i("VCVTPS2DQ", "32(R8)", "Y2")
		w.i("VPSUBD", "Y1", "Y0", "Y0")
		w.i("VPSUBD", "Y1", "Y2", "Y2")
		w.i("VPACKUSDW", "Y2", "Y0", "Y0")
		w.i("VPERMQ", "$0xd8", "Y0", "Y0")
		w.i("VPACKUSWB", "Y0", "Y0", "Y0")
		w.i("VPERMQ", "$0xd8", "Y0", "Y0")
		w.i("VMOVDQU", "X0", "(R9)")
	}
	w.i("ADDQ", "$64", "R8")
	w.i("ADDQ", "$16", "R9")
	w.i("SUBQ", "$16", "CX")
	w.i("JGE", "some")
	w.label("end")
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

// bytes prints the kernels of bytes; it gives the expression that names them.
func (w *asm) bytes(t target, decl *strings.Builder) string {
	narrow := "narrow" + t.suffix
	w.narrow(t, narrow)
	fmt.Fprintf(decl, "//go:noescape\nfunc %s(n *rt.Narrow)\n\n", narrow)
	gemm := func(kind tileKind, name string) string {
		rows, panels := t.byteTile(kind)
		return fmt.Sprintf("&rt.Gemm{Rows: %d, Panels: %d, Deep: true, Narrow: %s, Tiles: %s}", rows, panels, narrow, w.tiles(t, decl, rows, panels, kind, name))
	}
	if !t.wide {
		return gemm(pairs, "tile_u8")
	}
	return fmt.Sprintf("rt.BytesOf(rt.HasVNNI, %s, %s)", gemm(vnni, "tile_u8"), gemm(pairs, "tile_u8_pairs"))
}
