package arm64

import "fmt"

// Tile kernels: C[rows, 16] = A B (+ Bias) (+ Res). Registers of the loop: R0 the arguments, R1 steps of k left, R2 … R7 rows of
// A, R8 the panel, R9 what to prefetch for the next calls, R10 the pace, R11 the stretches left and R12
// the bytes between them. After it: R2 rows of C and R3 their stride, R4 bias, R5 rows of Res and
// R6 their stride, R7 valid columns, R8 … R12 for copies. Vector registers: the accumulators from V0 on, then one register a row
// of A with four steps of k, then those of B.

type tile struct {
	rows int
	kind tileKind
}

// tileKind is what a tile multiplies.
type tileKind int

const (
	floats tileKind = iota
	dots            // bytes, by the dot products of FEAT_DotProd
	wide            // bytes, by products of sixteen bits
)

func (t tile) acc(row, col int) int { return row*4 + col }
func (t tile) a(row int) int {
	if t.kind == wide {
		return wideA + row
	}
	return t.rows*4 + row
}

// b is the register of the next sixteen bytes of B: they take turns. The last four registers are free after the loop.
func (t tile) b(i int) int {
	n := min(8, (32-5*t.rows)&^1)
	return 5*t.rows + i%n
}

const tmp = 28 // V28 … V31 hold a row's worth of bias, Res or C

func (w *asm) tile(name string, t tile) {
	rows := t.rows
	if t.kind != floats {
		w.bytesHead(name, t)
	} else {
		w.text("// %s computes c[%d,16] = a[%d,k] * b[k,16] + bias + res, or max(0, that).\n// Requires: NEON\n//\tfor i in k { acc += a[0:%d,i] * b[i,0:16] }\n//\n// func %s(t *rt.Tile)\n",
			name, rows, rows, rows, name)
	}
	w.text("TEXT ·%s(SB), NOSPLIT, $64-8\n", name)
	w.i("MOVD", "t+0(FP)", "R0")
	for _, l := range [][2]string{{"0(R0)", "R1"}, {"8(R0)", "R2"}, {"16(R0)", "R10"}, {"24(R0)", "R8"}, {"120(R0)", "R9"}} {
		w.i("MOVD", l[0], l[1])
	}
	for r := 1; r < rows; r++ {
		w.i("ADD", "R10", fmt.Sprintf("R%d", r+1), fmt.Sprintf("R%d", r+2))
	}
	if t.kind == floats {
		w.start(t)
	} else {
		w.clear(t)
	}
	w.i("MOVD", "136(R0)", "R10")
	if t.kind == floats {
		w.i("MOVD", "152(R0)", "R11")
		w.i("MOVD", "160(R0)", "R12")
		w.label("stretch")
	}
	w.i("SUBS", "$4", "R1", "R1")
	w.i("BLT", "rest")
	w.label("by4")
	for r := range rows {
		w.i("FMOVQ.P", fmt.Sprintf("16(R%d)", r+2), fmt.Sprintf("F%d", t.a(r)))
	}
	for k := range 4 {
		w.tileStep(t, k, k)
	}
	w.i("PRFM", "(R9)", "PLDL2KEEP")
	w.i("PRFM", "64(R9)", "PLDL2KEEP")
	w.i("ADD", "R10", "R9")
	w.i("ADD", "$256", "R8")
	w.i("SUBS", "$4", "R1", "R1")
	w.i("BGE", "by4")
	w.label("rest")
	w.i("ADDS", "$4", "R1", "R1")
	w.i("BEQ", "done")
	w.label("by1")
	for r := range rows {
		w.i("FMOVS.P", fmt.Sprintf("4(R%d)", r+2), fmt.Sprintf("F%d", t.a(r)))
	}
	w.tileStep(t, 0, 0)
	w.i("ADD", "$64", "R8")
	w.i("SUBS", "$1", "R1", "R1")
	w.i("BNE", "by1")
	w.label("done")
	if t.kind == floats {
		w.nextStretch(t)
	}
	w.finish(t)
	w.text("\n")
}

// nextStretch goes on with the next stretch of the rows of A, if there is one.
func (w *asm) nextStretch(t tile) {
	w.i("SUBS", "$1", "R11", "R11")
	w.i("BLT", "last")
	w.i("MOVD", "0(R0)", "R1")
	for r := range t.rows {
		w.i("ADD", "R12", fmt.Sprintf("R%d", r+2))
	}
	w.i("B", "stretch")
	w.label("last")
}

// tileStep adds lane k of A times row k of the panel.
func (w *asm) tileStep(t tile, k, lane int) {
	if t.kind == wide {
		w.wideStep(t, k, lane)
		return
	}
	product := map[tileKind]func(d, n, m, lane int) (uint32, string){floats: fmlaLane, dots: sdotLane}[t.kind]
	for half := range 2 {
		b0, b1 := t.b(k*4+half*2), t.b(k*4+half*2+1)
		w.i("FLDPQ", fmt.Sprintf("%d(R8)", k*64+half*32), fmt.Sprintf("(F%d, F%d)", b0, b1))
		for r := range t.rows {
			w.v(product(t.acc(r, half*2), b0, t.a(r), lane))
			w.v(product(t.acc(r, half*2+1), b1, t.a(r), lane))
		}
	}
}

// start clears the accumulators or, to continue a longer product, loads them from C.
func (w *asm) start(t tile) {
	w.i("MOVD", "96(R0)", "R11")
	w.i("CBNZ", "R11", "load")
	w.clear(t)
	w.i("B", "loop")
	w.label("load")
	// The rows of A are in use: C is walked with R11, its stride is R13.
	w.i("MOVD", "40(R0)", "R11")
	w.i("MOVD", "48(R0)", "R13")
	w.columns("R14")
	for r := range t.rows {
		w.loadRow("R11", "R14", t.acc(r, 0))
		w.i("ADD", "R13", "R11", "R11")
	}
	w.label("loop")
}

func (w *asm) clear(t tile) {
	each := 4
	if t.kind == wide {
		each = 8
	}
	for r := range t.rows * each {
		w.op("eor", r, r, r)
	}
}

// columns puts the number of valid columns into a register.
func (w *asm) columns(to string) {
	w.i("MOVD", "80(R0)", to)
	w.i("CLZ", to, to)
	w.i("SUB", "$64", to, to)
	w.i("NEG", to, to)
}

// loadRow loads the valid columns at the address in from into four registers from v on: a whole row at once, part of one through
// the stack. R15, R19, R20 are for the copy.
func (w *asm) loadRow(from, columns string, v int) {
	part, done := w.fresh("part"), w.fresh("whole")
	w.i("CMP", "$16", columns)
	w.i("BNE", part)
	w.i("FLDPQ", "("+from+")", fmt.Sprintf("(F%d, F%d)", v, v+1))
	w.i("FLDPQ", "32("+from+")", fmt.Sprintf("(F%d, F%d)", v+2, v+3))
	w.i("B", done)
	w.label(part)
	w.i("MOVD", from, "R15")
	w.i("MOVD", "$row-64(SP)", "R19")
	w.copyWords("R15", "R19", columns)
	w.stackRow("FLDPQ", v)
	w.label(done)
}

// copyWords copies count words; count must not be 0. R20 counts, R21 holds a word.
func (w *asm) copyWords(from, to, count string) {
	again := w.fresh("copy")
	w.i("MOVD", count, "R20")
	w.label(again)
	w.i("MOVWU.P", "4("+from+")", "R21")
	w.i("MOVW.P", "R21", "4("+to+")")
	w.i("SUBS", "$1", "R20", "R20")
	w.i("BNE", again)
}

// stackRow moves four registers between the stack and v … v+3.
func (w *asm) stackRow(op string, v int) {
	w.i("MOVD", "$row-64(SP)", "R19")
	for half := range 2 {
		regs := fmt.Sprintf("(F%d, F%d)", v+half*2, v+half*2+1)
		at := fmt.Sprintf("%d(R19)", half*32)
		if op == "FSTPQ" {
			regs, at = at, regs
			w.i(op, at, regs)
			continue
		}
		w.i(op, at, regs)
	}
}

// storeRow stores the valid columns of four registers.
func (w *asm) storeRow(to, columns string, v int) {
	part, done := w.fresh("part"), w.fresh("whole")
	w.i("CMP", "$16", columns)
	w.i("BNE", part)
	w.i("FSTPQ", fmt.Sprintf("(F%d, F%d)", v, v+1), "("+to+")")
	w.i("FSTPQ", fmt.Sprintf("(F%d, F%d)", v+2, v+3), "32("+to+")")
	w.i("B", done)
	w.label(part)
	w.stackRow("FSTPQ", v)
	w.i("MOVD", to, "R15")
	w.copyWords("R19", "R15", columns)
	w.label(done)
}

// finish adds bias and residual, takes max(0, x) if it is to, and stores.
func (w *asm) finish(t tile) {
	for _, l := range [][2]string{{"40(R0)", "R2"}, {"48(R0)", "R3"}, {"56(R0)", "R4"}, {"64(R0)", "R5"}, {"72(R0)", "R6"}} {
		w.i("MOVD", l[0], l[1])
	}
	w.columns("R7")
	if t.kind != floats {
		w.bytesEnd(t)
		w.putRows(t)
		return
	}
	w.i("CBZ", "R4", "nobias")
	w.loadRow("R4", "R7", tmp)
	for r := range t.rows {
		w.addRow(t, r)
	}
	w.label("nobias")
	w.i("CBZ", "R5", "store")
	for r := range t.rows {
		w.loadRow("R5", "R7", tmp)
		w.addRow(t, r)
		w.i("ADD", "R6", "R5", "R5")
	}
	w.label("store")
	w.i("MOVD", "128(R0)", "R4")
	w.i("CBZ", "R4", "put")
	w.op("eor", tmp, tmp, tmp)
	for acc := range t.rows * 4 {
		w.op("fcmgt", tmp+1, tmp, acc)
		w.op("bsl", tmp+1, tmp, acc)
		w.op("orr", acc, tmp+1, tmp+1)
	}
	w.label("put")
	w.putRows(t)
}

// putRows stores the accumulators.
func (w *asm) putRows(t tile) {
	for r := range t.rows {
		w.storeRow("R2", "R7", t.acc(r, 0))
		w.i("ADD", "R3", "R2", "R2")
	}
	w.i("RET")
}

func (w *asm) addRow(t tile, row int) {
	for c := range 4 {
		w.op("fadd", t.acc(row, c), t.acc(row, c), tmp+c)
	}
}
