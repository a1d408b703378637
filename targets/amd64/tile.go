package amd64

import "fmt"

// Tile kernels: C[rows, panels*16] = A B (+ Bias) (+ Res), or max(0, that). Registers: DI the arguments, CX steps of k left, AX the stride of A,
// R8 … R12 rows 0, 3, 6, 9, 12 of A, BX the first panel, DX the step between at most three panels, R15 what to prefetch for the
// next calls, SI the pace and R13 the stretches left. After the loop: SI a row of C, R8 its stride, R9 bias, R10 a row of Res, R11 its stride.

var rowBase = []string{"R8", "R9", "R10", "R11", "R12"}

// rowAddr is element k of row r of A.
func rowAddr(r, k int) string {
	return fmt.Sprintf("%d(%s)%s", k*4, rowBase[r/3], []string{"", "(AX*1)", "(AX*2)"}[r%3])
}

// panelAddr is row k of panel p; off is for the second half of it.
func panelAddr(p, k, off int) string {
	return fmt.Sprintf("%d(BX)%s", k*64+off, []string{"", "(DX*1)", "(DX*2)"}[p])
}

// nextAddr is what the next calls will read of panel p.
func nextAddr(p, off int) string {
	return fmt.Sprintf("%d(R15)%s", off, []string{"", "(DX*1)", "(DX*2)"}[p])
}

// tileKind is what a tile multiplies.
type tileKind int

const (
	floats tileKind = iota
	vnni            // bytes, by AVX512_VNNI
	pairs           // bytes, widened to words and multiplied in pairs
	coded           // f32 that are made of coded weights
)

// tileRegs lays the registers of a tile out: halves is how many registers hold sixteen lanes.
type tileRegs struct {
	prefix         string
	kind           tileKind
	rows, panels   int
	halves         int
	firstB, firstA int
}

func (t target) tileRegs(rows, panels int, kind tileKind) tileRegs {
	r := tileRegs{"Y", kind, rows, panels, 2, 12, 14}
	switch {
	case kind == coded && t.wide:
		r.firstB, r.firstA = rows*panels, 30
	case kind == pairs:
		r.firstB, r.firstA = pairB[t.wide], pairA[t.wide]
	case t.wide:
		r.firstB = rows * panels
		r.firstA = r.firstB + panels
	}
	if t.wide {
		r.prefix, r.halves = "Z", 1
	}
	return r
}

func (r tileRegs) acc(row, panel, half int) string {
	return fmt.Sprintf("%s%d", r.prefix, (row*r.panels+panel)*r.halves+half)
}

func (r tileRegs) b(panel, half int) string {
	return fmt.Sprintf("%s%d", r.prefix, r.firstB+panel*r.halves+half)
}

func (r tileRegs) a(row int) string {
	n := 2
	if r.prefix == "Z" && r.kind != pairs {
		n = 32 - r.firstA
	}
	return fmt.Sprintf("%s%d", r.prefix, r.firstA+row%n)
}

func (w *asm) tile(t target, name string, rows, panels int, kind tileKind) {
	r := t.tileRegs(rows, panels, kind)
	if kind != floats {
		w.bytesHead(t, name, r)
	} else {
		w.floatsHead(t, name, r)
	}
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	w.tileLoop(t, r)
	w.finish(t, r)
	w.i("VZEROUPPER")
	w.i("RET")
	w.text("\n")
}

func (w *asm) floatsHead(t target, name string, r tileRegs) {
	rows, panels := r.rows, r.panels
	w.text("// %s computes c[%d,%d] = a[%d,k] * b[k,%d] + bias + res, or max(0, that).\n// Requires: %s\n//\tfor i in k { acc += bcast(a[0:%d,i]) * b[i,0:%d] }\n//\n// func %s(t *rt.Tile)\n",
		name, rows, panels*16, rows, panels*16, map[bool]string{true: "AVX512F, AVX512DQ", false: "AVX2, FMA"}[t.wide], rows, panels*16, name)
}

// tileLoop points the registers at the operands and adds all the products.
func (w *asm) tileLoop(t target, r tileRegs) {
	for _, l := range [][2]string{{"t+0(FP)", "DI"}, {"0(DI)", "CX"}, {"8(DI)", "R8"}, {"16(DI)", "AX"}, {"24(DI)", "BX"}, {"32(DI)", "DX"}, {"120(DI)", "R15"}} {
		w.i("MOVQ", l[0], l[1])
	}
	for i := 1; i*3 < r.rows; i++ {
		w.i("LEAQ", fmt.Sprintf("(%s)(AX*2)", rowBase[i-1]), rowBase[i])
		w.i("ADDQ", "AX", rowBase[i])
	}
	if r.kind == floats {
		w.fetchRes(r)
		w.start(t, r)
	} else {
		w.clear(t, r)
	}
	if r.kind == pairs {
		w.i("VPBROADCASTD", w.constant(lowBytes, 1), r.low())
	}
	w.i("MOVQ", "136(DI)", "SI")
	if r.kind == floats {
		w.i("MOVQ", "152(DI)", "R13")
		w.label("stretch")
	}
	w.i("SUBQ", "$4", "CX")
	w.i("JLT", "rest")
	w.i("PCALIGN", "$64")
	w.label("by4")
	for k := range 4 {
		w.tileStep(t, r, k)
	}
	for p := range r.panels {
		w.i("PREFETCHT1", nextAddr(p, 0))
		w.i("PREFETCHT1", nextAddr(p, 64))
	}
	w.i("ADDQ", "SI", "R15")
	w.advance(r, 4)
	w.i("SUBQ", "$4", "CX")
	w.i("JGE", "by4")
	w.label("rest")
	w.i("ADDQ", "$4", "CX")
	w.i("JZ", "done")
	w.label("by1")
	w.tileStep(t, r, 0)
	w.advance(r, 1)
	w.i("DECQ", "CX")
	w.i("JNZ", "by1")
	w.label("done")
	if r.kind == floats {
		w.nextStretch(r)
	}
}

// nextStretch goes on with the next stretch of the rows of A, if there is one.
func (w *asm) nextStretch(r tileRegs) {
	w.i("DECQ", "R13")
	w.i("JLT", "last")
	w.i("MOVQ", "0(DI)", "CX")
	for i := 0; i*3 < r.rows; i++ {
		w.i("ADDQ", "160(DI)", rowBase[i])
	}
	w.i("JMP", "stretch")
	w.label("last")
}

// fetchRes prefetches what will be added to the result: all the lines are read at once at the end, when nothing else is left to do.
func (w *asm) fetchRes(r tileRegs) {
	w.i("MOVQ", "64(DI)", "R13")
	w.i("TESTQ", "R13", "R13")
	w.i("JZ", "fetched")
	for row := range r.rows {
		for p := range r.panels {
			w.i("PREFETCHT0", fmt.Sprintf("%d(R13)", p*64))
		}
		if row < r.rows-1 {
			w.i("ADDQ", "72(DI)", "R13")
		}
	}
	w.label("fetched")
}

// start clears the accumulators or, to continue a longer product, loads them from C.
func (w *asm) start(t target, r tileRegs) {
	w.i("MOVQ", "40(DI)", "SI")
	w.i("CMPQ", "96(DI)", "$0")
	w.i("JNE", "load")
	w.clear(t, r)
	w.i("JMP", "loop")
	w.label("load")
	w.loadMask(t, r)
	for row := range r.rows {
		w.eachPart(r, row, func(p, h int, acc string) { w.loadPart(t, r, p, fmt.Sprintf("%d(SI)", p*64+h*32), h, acc) })
		if row < r.rows-1 {
			w.i("ADDQ", "48(DI)", "SI")
		}
	}
	w.label("loop")
}

func (w *asm) clear(t target, r tileRegs) {
	for row := range r.rows {
		w.eachPart(r, row, func(_, _ int, acc string) {
			w.i(map[bool]string{true: "VPXORD", false: "VXORPS"}[t.wide], acc, acc, acc)
		})
	}
}

func (w *asm) eachPart(r tileRegs, row int, f func(p, h int, acc string)) {
	for p := range r.panels {
		for h := range r.halves {
			f(p, h, r.acc(row, p, h))
		}
	}
}

// products are the instructions that multiply and add.
var products = map[tileKind]string{floats: "VFMADD231PS", vnni: "VPDPBUSD"}

func (w *asm) tileStep(t target, r tileRegs, k int) {
	if r.kind == pairs {
		w.pairStep(r, k)
		return
	}
	for p := range r.panels {
		for h := range r.halves {
			w.i("VMOVUPS", panelAddr(p, k, h*32), r.b(p, h))
		}
	}
	for row := range r.rows {
		w.i("VBROADCASTSS", rowAddr(row, k), r.a(row))
		w.eachPart(r, row, func(p, h int, acc string) { w.i(products[r.kind], r.b(p, h), r.a(row), acc) })
	}
}

func (w *asm) advance(r tileRegs, k int) {
	for i := 0; i*3 < r.rows; i++ {
		w.i("ADDQ", fmt.Sprintf("$%d", k*4), rowBase[i])
	}
	w.i("ADDQ", fmt.Sprintf("$%d", k*64), "BX")
}

// loadMask puts the mask of the last panel's columns into K1, or its lanes' address into R12 and, for the masked moves of
// AVX2, the lanes into the registers of A.
func (w *asm) loadMask(t target, r tileRegs) {
	if t.wide {
		w.i("MOVQ", "80(DI)", "R13")
		w.i("KMOVW", "R13", "K1")
		return
	}
	w.i("MOVQ", "88(DI)", "R13")
	w.i("VMOVUPS", "(R13)", r.a(0))
	w.i("VMOVUPS", "32(R13)", r.a(1))
}

// loadPart loads sixteen or eight lanes; in the last panel only the valid ones.
func (w *asm) loadPart(t target, r tileRegs, p int, addr string, half int, to string) {
	switch {
	case p < r.panels-1:
		w.i("VMOVUPS", addr, to)
	case t.wide:
		w.i("VMOVUPS.Z", addr, "K1", to)
	default:
		w.i("VMASKMOVPS", addr, r.a(half), to)
	}
}

// storePart stores sixteen or eight lanes; in the last panel, unless it is full, only the valid ones.
func (w *asm) storePart(t target, r tileRegs, p int, from string, half int, addr string, full bool) {
	switch {
	case full || p < r.panels-1:
		w.i("VMOVUPS", from, addr)
	case t.wide:
		w.i("VMOVUPS", from, "K1", addr)
	default:
		w.i("VMASKMOVPS", from, r.a(half), addr)
	}
}

// finish adds bias and residual, takes max(0, x) if it is to, and stores.
func (w *asm) finish(t target, r tileRegs) {
	w.loadMask(t, r)
	for _, l := range [][2]string{{"40(DI)", "SI"}, {"48(DI)", "R8"}, {"56(DI)", "R9"}, {"64(DI)", "R10"}, {"72(DI)", "R11"}} {
		w.i("MOVQ", l[0], l[1])
	}
	if r.kind == vnni || r.kind == pairs {
		w.bytesEnd(t, r)
		return
	}
	w.i("TESTQ", "R9", "R9")
	w.i("JZ", "nobias")
	for p := range r.panels {
		for h := range r.halves {
			w.loadPart(t, r, p, fmt.Sprintf("%d(R9)", p*64+h*32), h, r.b(p, h))
			for row := range r.rows {
				w.i("VADDPS", r.b(p, h), r.acc(row, p, h), r.acc(row, p, h))
			}
		}
	}
	w.label("nobias")
	w.i("TESTQ", "R10", "R10")
	w.i("JZ", "store")
	for row := range r.rows {
		w.eachPart(r, row, func(p, h int, acc string) {
			w.loadPart(t, r, p, fmt.Sprintf("%d(R10)", p*64+h*32), h, r.b(p, h))
			w.i("VADDPS", r.b(p, h), acc, acc)
		})
		if row < r.rows-1 {
			w.i("ADDQ", "R11", "R10")
		}
	}
	w.label("store")
	w.i("CMPQ", "128(DI)", "$0")
	w.i("JEQ", "put")
	zero := r.b(0, 0)
	w.i(map[bool]string{true: "VPXORD", false: "VXORPS"}[t.wide], zero, zero, zero)
	for row := range r.rows {
		w.eachPart(r, row, func(_, _ int, acc string) { w.i("VMAXPS", acc, zero, acc) })
	}
	w.label("put")
	w.put(t, r)
}

// put stores the accumulators.
func (w *asm) put(t target, r tileRegs) {
	if t.wide {
		w.putRows(t, r, false)
		return
	}
	w.i("CMPQ", "80(DI)", "$0xffff")
	w.i("JNE", "some")
	w.putRows(t, r, true)
	w.i("JMP", "end")
	w.label("some")
	w.putRows(t, r, false)
	w.label("end")
}

// putRows stores the accumulators. AVX2's masked stores are dozens of micro-operations on AMD's CPUs (2 to 18 % of a product's time
// there), so a full panel has a way without them; AVX-512's cost nothing more.
func (w *asm) putRows(t target, r tileRegs, full bool) {
	for row := range r.rows {
		w.eachPart(r, row, func(p, h int, acc string) { w.storePart(t, r, p, acc, h, fmt.Sprintf("%d(SI)", p*64+h*32), full) })
		if row < r.rows-1 {
			w.i("ADDQ", "R8", "SI")
		}
	}
}
