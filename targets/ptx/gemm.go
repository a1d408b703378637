package ptx

import (
	"fmt"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// The product: a block computes 64 x 64 elements with 256 threads of 4 x 4, sixteen steps of k at a time through shared memory: A
// transposed, [k][rows], rows padded to 68 words so that the stores of a warp spread over the banks, then B, [k][columns].
const (
	tileSide  = 64
	tileDepth = 16
	aRow      = 68 * 4
	bRow      = tileSide * 4
	bAt       = tileDepth * aRow
	tileBytes = bAt + tileDepth*bRow
	side      = 4 // a thread's rows and columns
)

// gemmEntry prints C = act(A B + Bias) + Res; act is an elementwise kernel of one input or, with Res, two, or nil.
func gemmEntry(name string, act *loop.Kernel, dtype string) string {
	if dtype != "f32" {
		return tensorEntry(name, act, dtype)
	}
	comment := name + " computes C = A B + Bias + Res, a chain of fused multiply-adds in increasing k for each element"
	if act != nil {
		comment += "; the sum goes through " + act.Name
	}
	return entry(name, comment, cuda.GemmWords, threads, tileBytes, func(a *asm) {
		g := &gemm{asm: a, act: act}
		g.addresses()
		g.product()
		rows, cols := g.places()
		acc := make([][]string, side)
		for i := range acc {
			acc[i] = g.acc[i][:]
		}
		g.finish(rows, cols, acc)
		a.i("ret")
	})
}

type gemm struct {
	*asm
	act                      *loop.Kernel
	m, n, k                  string // 32-bit sizes
	tid, m0, n0              string
	matA, matB               string // the batch entry's
	addrA, addrB             string // of this thread's first elements to load
	strideA, strideB         string // from one of its rows of A, or steps of k of B, to the next
	bk                       string
	rowA, colB, stepA, stepB string // the first row, column and steps of k that it loads
	c, bias                  string
	shared                   string
	acc                      [side][side]string
}

// block finds the place of a block of rows x cols and the batch entry's matrices; tiles is its shared memory.
func (g *gemm) block(rows, cols int, tiles string) {
	g.m, g.n, g.k = g.word32(cuda.GemmM), g.word32(cuda.GemmN), g.word32(cuda.GemmK)
	g.tid = g.set("r", "mov.u32", "%tid.x")
	g.n0 = g.set("r", "mul.lo.u32", g.set("r", "mov.u32", "%ctaid.x"), num(cols))
	g.m0 = g.set("r", "mul.lo.u32", g.set("r", "mov.u32", "%ctaid.y"), num(rows))
	g.shared = g.set("r", "mov.u32", tiles)
	g.bk = g.word(cuda.GemmBK)
	g.batch()
}

// columnOf is the address of column col of B at k = 0.
func (g *gemm) columnOf(matB, col string) string {
	panel := g.set("l", "cvt.u64.u32", g.set("r", "shr.u32", col, "4"))
	lane := g.set("l", "cvt.u64.u32", g.set("r", "and.b32", col, "15"))
	at := g.set("l", "mad.lo.s64", panel, g.word(cuda.GemmPanel), matB)
	return g.set("l", "mad.lo.s64", lane, g.word(cuda.GemmBN), at)
}

// addresses finds what this thread loads: of A one step of k of four rows sixteen apart, of B one column of four steps of k four
// apart.
func (g *gemm) addresses() {
	g.block(tileSide, tileSide, "tile")
	g.rowA = g.set("r", "add.u32", g.m0, g.set("r", "shr.u32", g.tid, "4"))
	g.stepA = g.set("r", "and.b32", g.tid, "15")
	g.colB = g.set("r", "add.u32", g.n0, g.set("r", "and.b32", g.tid, "63"))
	g.stepB = g.set("r", "shr.u32", g.tid, "6")
	lda := g.word(cuda.GemmLDA)
	g.addrA = g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", g.rowA), lda, g.scaled(g.matA, g.stepA, 4))
	g.strideA = g.set("l", "shl.b64", lda, "4")
	g.addrB = g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", g.stepB), g.bk, g.columnOf(g.matB, g.colB))
	g.strideB = g.set("l", "shl.b64", g.bk, "2")
}

// batch picks the matrices of grid row z, an entry of the batch.
func (g *gemm) batch() {
	g.matA, g.matB, g.c, g.bias = g.word(cuda.GemmA), g.word(cuda.GemmB), g.word(cuda.GemmC), g.word(cuda.GemmBias)
	z := g.set("r", "mov.u32", "%ctaid.z")
	zero := g.set("p", "setp.eq.u32", z, "0")
	done := g.fresh("matrices")
	g.i("@%s bra %s", zero, done)
	rest := g.set("r", "mov.u32", z)
	for i := 2; i >= 0; i-- {
		dim := g.word32(cuda.GemmBatch + i)
		c := g.set("l", "cvt.u64.u32", g.set("r", "rem.u32", rest, dim))
		g.i("div.u32 %s, %s, %s", rest, rest, dim)
		g.i("mad.lo.s64 %s, %s, %s, %s", g.matA, c, g.word(cuda.GemmSA+i), g.matA)
		g.i("mad.lo.s64 %s, %s, %s, %s", g.matB, c, g.word(cuda.GemmSB+i), g.matB)
	}
	g.i("mad.lo.s64 %s, %s, %s, %s", g.c, g.set("l", "cvt.u64.u32", z), g.word(cuda.GemmSC), g.c)
	g.label(done)
}

// product loops over k: load a tile, wait, multiply, wait.
func (g *gemm) product() {
	for i := range side {
		for j := range side {
			g.acc[i][j] = g.set("f", "mov.f32", "0f00000000")
		}
	}
	rows := g.set("r", "and.b32", g.set("r", "shr.u32", g.tid, "4"), "15")
	cols := g.set("r", "and.b32", g.tid, "15")
	readA := g.set("r", "mad.lo.u32", rows, num(side*4), g.shared)
	readB := g.set("r", "mad.lo.u32", cols, num(side*4), g.shared)
	g.forStep("0", g.k, tileDepth, func(k0 string) {
		g.loadTile(k0)
		g.i("bar.sync 0")
		left := g.set("r", "sub.u32", g.k, k0)
		partial := g.set("p", "setp.lt.u32", left, num(tileDepth))
		tail, done := g.fresh("tail"), g.fresh("multiplied")
		g.i("@%s bra %s", partial, tail)
		for k := range tileDepth {
			g.step(readA, readB, k)
		}
		g.i("bra %s", done)
		g.label(tail)
		g.forStep("0", left, 1, func(k string) {
			g.step(g.set("r", "mad.lo.u32", k, num(aRow), readA), g.set("r", "mad.lo.u32", k, num(bRow), readB), 0)
		})
		g.label(done)
		g.i("bar.sync 0")
	})
}

// loadTile copies this thread's part of the tile at k0; what lies outside the matrices is 0 and is not used.
func (g *gemm) loadTile(k0 string) {
	k := g.set("r", "add.u32", k0, g.stepA)
	inK := g.set("p", "setp.lt.u32", k, g.k)
	at := g.scaled(g.addrA, k0, 4)
	to := g.set("r", "mad.lo.u32", g.stepA, num(aRow), g.shared)
	to = g.set("r", "mad.lo.u32", g.set("r", "shr.u32", g.tid, "4"), "4", to)
	for i := range side {
		row := g.set("r", "add.u32", g.rowA, num(16*i))
		g.loadShared(g.set("p", "setp.lt.and.u32", row, g.m, inK), at, fmt.Sprintf("[%s+%d]", to, 64*i))
		at = g.set("l", "add.s64", at, g.strideA)
	}
	inN := g.set("p", "setp.lt.u32", g.colB, g.n)
	at = g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", k0), g.bk, g.addrB)
	to = g.set("r", "mad.lo.u32", g.stepB, num(bRow), g.shared)
	to = g.set("r", "mad.lo.u32", g.set("r", "and.b32", g.tid, "63"), "4", to)
	for i := range side {
		k := g.set("r", "add.u32", g.set("r", "add.u32", k0, g.stepB), num(4*i))
		g.loadShared(g.set("p", "setp.lt.and.u32", k, g.k, inN), at, fmt.Sprintf("[%s+%d]", to, bAt+4*i*bRow))
		at = g.set("l", "add.s64", at, g.strideB)
	}
}

func (g *gemm) loadShared(inside, from, to string) {
	x := g.set("f", "mov.f32", "0f00000000")
	g.i("@%s ld.global.f32 %s, [%s]", inside, x, from)
	g.i("st.shared.f32 %s, %s", to, x)
}

// step adds step k of the tile.
func (g *gemm) step(readA, readB string, k int) {
	av := g.load4(fmt.Sprintf("[%s+%d]", readA, k*aRow))
	bv := g.load4(fmt.Sprintf("[%s+%d]", readB, bAt+k*bRow))
	for i := range side {
		for j := range side {
			g.i("fma.rn.f32 %s, %s, %s, %s", g.acc[i][j], av[i], bv[j], g.acc[i][j])
		}
	}
}

func (a *asm) load4(addr string) (v [4]string) {
	for i := range v {
		v[i] = a.reg("f")
	}
	a.i("ld.shared.v4.f32 {%s, %s, %s, %s}, %s", v[0], v[1], v[2], v[3], addr)
	return v
}

// places are the rows and columns of C that this thread has.
func (g *gemm) places() (rows, cols []string) {
	row := g.set("r", "mad.lo.u32", g.set("r", "shr.u32", g.tid, "4"), num(side), g.m0)
	col := g.set("r", "mad.lo.u32", g.set("r", "and.b32", g.tid, "15"), num(side), g.n0)
	for i := range side {
		rows = append(rows, g.set("r", "add.u32", row, num(i)))
		cols = append(cols, g.set("r", "add.u32", col, num(i)))
	}
	return rows, cols
}

// finish adds bias and residual, applies the activation and stores the elements at rows and columns of the block's tile.
func (g *gemm) finish(rows, cols []string, acc [][]string) {
	hasBias, res := g.set("p", "setp.ne.s64", g.bias, "0"), g.word(cuda.GemmRes)
	hasRes := g.set("p", "setp.ne.s64", res, "0")
	inN, bias := make([]string, len(cols)), make([]string, len(cols))
	for j, c := range cols {
		inN[j] = g.set("p", "setp.lt.u32", c, g.n)
		bias[j] = g.set("f", "mov.f32", "0f00000000")
		p := g.set("p", "and.pred", inN[j], hasBias)
		g.i("@%s ld.global.f32 %s, [%s]", p, bias[j], g.scaled(g.bias, c, 4))
	}
	for i, r := range rows {
		wide := g.set("l", "cvt.u64.u32", r)
		inM := g.set("p", "setp.lt.u32", r, g.m)
		to := g.rowOfC(r)
		from := g.set("l", "mad.lo.s64", wide, g.word(cuda.GemmLDR), res)
		for j, c := range cols {
			inside := g.set("p", "and.pred", inM, inN[j])
			g.element(acc[i][j], bias[j], hasBias, hasRes, inside, "["+g.scaled(from, c, 4)+"]", "["+g.scaled(to, c, 4)+"]")
		}
	}
}

// rowOfC is where row r of C begins: it may lie in lines of rows, and these in groups.
func (g *gemm) rowOfC(r string) string {
	count, of := g.word32(cuda.GemmCount), g.word32(cuda.GemmOf)
	line := g.set("r", "div.u32", r, count)
	to := g.c
	for _, part := range [][2]string{{g.set("r", "rem.u32", r, count), g.word(cuda.GemmLDC)}, {g.set("r", "rem.u32", line, of), g.word(cuda.GemmLine)}, {g.set("r", "div.u32", line, of), g.word(cuda.GemmGroup)}} {
		to = g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", part[0]), part[1], to)
	}
	return to
}

// element finishes one element. Without a bias or a residual nothing is added: adding 0 would turn -0 into 0.
func (g *gemm) element(x, bias, hasBias, hasRes, inside, from, to string) {
	g.i("@%s add.rn.f32 %s, %s, %s", hasBias, x, x, bias)
	r := g.set("f", "mov.f32", "0f00000000")
	load := g.set("p", "and.pred", inside, hasRes)
	g.i("@%s ld.global.f32 %s, %s", load, r, from)
	switch {
	case g.act == nil:
		g.i("@%s add.rn.f32 %s, %s, %s", hasRes, x, x, r)
	case len(g.act.Bufs) == 3:
		x = g.epilogue(g.act, []string{x, r})
	default:
		x = g.epilogue(g.act, []string{x})
	}
	g.i("@%s st.global.f32 %s, %s", inside, to, x)
}
