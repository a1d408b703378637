package ptx

import (
	"fmt"
	"strings"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// The product on tensor cores (mma.sync, PTX ISA 9.7.14): operands rounded to bf16, f16 or tf32, sums in f32. Three stages of k are in
// shared memory, A as [row][k] and B as [column][k], each row 64 bytes of operands and 16 that no one uses, so that the eight rows that
// ldmatrix takes at once lie in different banks. A comes through registers, where it is rounded; weights, rounded once, come by cp.async.

// tensorType is an operand type: its instruction, how f32 values become words, and how many operands a word has.
type tensorType struct {
	mma, convert string
	perWord      int
}

var tensorTypes = map[string]tensorType{
	"bf16": {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cvt.rn.bf16x2.f32", 2},
	"f16":  {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "cvt.rn.f16x2.f32", 2},
	"tf32": {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "cvt.rna.tf32.f32", 1},
}

const (
	stages     = cuda.TensorStages
	lineBytes  = cuda.TensorLine  // of a row in shared memory
	depthBytes = cuda.TensorDepth // of them, operands
	stepBytes  = 32               // of a row that one mma takes
	slab       = threads / 4      // rows that the threads load at once, four a row
)

// depth is how many operands along k a stage has.
func (t tensorType) depth() int { return depthBytes / 4 * t.perWord }

// each is how many neighbours along k a thread loads: 16 bytes of operands.
func (t tensorType) each() int { return 4 * t.perWord }

// words rounds values to operands, neighbours in a word with the first in the low half.
func (a *asm) words(t tensorType, v []string) (words []string) {
	for i := 0; i < len(v); i += t.perWord {
		if t.perWord == 2 {
			words = append(words, a.set("r", t.convert, v[i+1], v[i]))
		} else {
			words = append(words, a.set("r", t.convert, v[i]))
		}
	}
	return words
}

// mma adds the product of fragments a, four words, and b, two, to sums.
func (a *asm) mma(t tensorType, sums *[4]string, x, y []string) {
	sum := "{" + strings.Join(sums[:], ", ") + "}"
	a.i("%s %s, {%s}, {%s}, %s", t.mma, sum, strings.Join(x, ", "), strings.Join(y, ", "), sum)
}

// ldmatrix loads four matrices of eight rows of 16 bytes; a thread gives the address of one row.
func (a *asm) ldmatrix(base string, off int) []string {
	v := []string{a.reg("r"), a.reg("r"), a.reg("r"), a.reg("r")}
	a.i("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%s}, [%s+%d]", strings.Join(v, ", "), base, off)
	return v
}

// zeros are fresh sums.
func (a *asm) zeros() (sums [4]string) {
	for i := range sums {
		sums[i] = a.set("f", "mov.f32", "0f00000000")
	}
	return sums
}

// tensorTile is what a block of eight warps computes, and each of them; anyB says that B may be in f32, not only weights that are rounded.
type tensorTile struct {
	rows, cols, warpRows, warpCols int
	anyB                           bool
}

var (
	narrowTile = tensorTile{64, 64, 16, 32, true}
	wideTile   = tensorTile{cuda.WideSide, cuda.WideSide, 64, 32, false}
)

func (t tensorTile) stageBytes() int { return (t.rows + t.cols) * lineBytes }

// tensorEntry prints the product with tiles of 64 x 64 and, under another name and for weights, of 128 x 128.
func tensorEntry(name string, act *loop.Kernel, dtype string) string {
	return tensorTileEntry(name, act, dtype, narrowTile) + tensorTileEntry(name+cuda.Wide, act, dtype, wideTile)
}

func tensorTileEntry(name string, act *loop.Kernel, dtype string, tile tensorTile) string {
	comment := fmt.Sprintf("%s computes C = A B + Bias + Res with operands in %s and sums in f32, %d x %d a block", name, dtype, tile.rows, tile.cols)
	if act != nil {
		comment += "; the sum goes through " + act.Name
	}
	static, tiles, extern := stages*tile.stageBytes(), "tile", ""
	if tile == wideTile { // more than static shared memory may be
		static, tiles = 0, name+"_tiles"
		extern = "// The tiles.\n.extern .shared .align 16 .b8 " + tiles + "[];\n\n"
	}
	return extern + entry(name, comment, cuda.GemmWords, threads, static, func(a *asm) {
		g := &tensorGemm{gemm: gemm{asm: a, act: act}, t: tensorTypes[dtype], tile: tile}
		g.block(tile.rows, tile.cols, tiles)
		g.place()
		g.product()
		rows, cols := g.places()
		g.finish(rows, cols, g.results())
		a.i("ret")
	})
}

type tensorGemm struct {
	gemm
	t    tensorType
	tile tensorTile

	fromA, quick, inM   []string // for each slab: address at k = 0, whether all that a thread loads may come at once, whether the row is there
	fromB, inN          []string // B in f32
	rounded, size       []string // B rounded: address, and how many bytes there are
	hasRounded          string
	kA, kB              string // the first operand along k that this thread loads
	toA, toB, toRounded string // shared addresses in stage 0
	fragA, fragB        string
	warpRow, warpCol    string
	group, member       string // lane / 4, lane % 4
	sums                [][][4]string
}

func (g *tensorGemm) place() {
	each := num(g.t.each())
	row, part := g.set("r", "shr.u32", g.tid, "2"), g.set("r", "and.b32", g.tid, "3")
	g.kA = g.set("r", "mul.lo.u32", part, each)
	col := g.set("r", "and.b32", g.tid, num(slab-1))
	g.kB = g.set("r", "mul.lo.u32", g.set("r", "shr.u32", g.tid, "6"), each)
	tileB := g.set("r", "add.u32", g.shared, num(g.tile.rows*lineBytes))
	at := func(tile, row, part string) string {
		return g.set("r", "mad.lo.u32", row, num(lineBytes), g.set("r", "mad.lo.u32", part, "16", tile))
	}
	g.toA, g.toRounded = at(g.shared, row, part), at(tileB, row, part)
	g.toB = at(tileB, col, g.set("r", "shr.u32", g.tid, "6"))
	for s := range g.tile.rows / slab {
		g.rowOfA(g.set("r", "add.u32", g.set("r", "add.u32", g.m0, row), num(s*slab)))
	}
	rounded, line := g.word(cuda.GemmRounded), g.word(cuda.GemmRoundedRow)
	g.hasRounded = g.set("p", "setp.ne.s64", rounded, "0")
	for s := range g.tile.cols / slab {
		if g.tile.anyB {
			g.columnOfB(g.set("r", "add.u32", g.set("r", "add.u32", g.n0, col), num(s*slab)))
		}
		c := g.set("r", "add.u32", g.set("r", "add.u32", g.n0, row), num(s*slab))
		in := g.set("p", "setp.lt.u32", c, g.n)
		g.size = append(g.size, g.set("r", "selp.b32", "16", "0", in))
		c = g.set("r", "selp.b32", c, "0", in)
		g.rounded = append(g.rounded, g.scaled(g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", c), line, rounded), part, 16))
	}
	g.fragments(tileB)
}

// rowOfA finds a row that this thread loads of. Its values come four at a time where their address allows it.
func (g *tensorGemm) rowOfA(r string) {
	in := g.set("p", "setp.lt.u32", r, g.m)
	from := g.scaled(g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", r), g.word(cuda.GemmLDA), g.matA), g.kA, 4)
	odd := g.set("r", "and.b32", g.set("r", "cvt.u32.u64", from), "15")
	g.fromA, g.inM = append(g.fromA, from), append(g.inM, in)
	g.quick = append(g.quick, g.set("p", "setp.eq.and.u32", odd, "0", in))
}

func (g *tensorGemm) columnOfB(c string) {
	g.inN = append(g.inN, g.set("p", "setp.lt.u32", c, g.n))
	g.fromB = append(g.fromB, g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", g.kB), g.bk, g.columnOf(g.matB, c)))
}

// fragments finds which rows of its warp's tiles this thread gives to ldmatrix, and which elements of C it has.
func (g *tensorGemm) fragments(tileB string) {
	warp, lane := g.set("r", "shr.u32", g.tid, "5"), g.set("r", "and.b32", g.tid, "31")
	across := num(g.tile.cols / g.tile.warpCols)
	g.warpRow = g.set("r", "mul.lo.u32", g.set("r", "div.u32", warp, across), num(g.tile.warpRows))
	g.warpCol = g.set("r", "mul.lo.u32", g.set("r", "rem.u32", warp, across), num(g.tile.warpCols))
	g.group, g.member = g.set("r", "shr.u32", lane, "2"), g.set("r", "and.b32", lane, "3")
	half, low := g.set("r", "shr.u32", lane, "4"), g.set("r", "and.b32", lane, "15")
	row := g.set("r", "add.u32", g.warpRow, low)
	g.fragA = g.set("r", "mad.lo.u32", row, num(lineBytes), g.set("r", "mad.lo.u32", half, "16", g.shared))
	col := g.set("r", "mad.lo.u32", half, "8", g.set("r", "add.u32", g.warpCol, g.set("r", "and.b32", lane, "7")))
	g.fragB = g.set("r", "mad.lo.u32", col, num(lineBytes), g.set("r", "mad.lo.u32", g.set("r", "shr.u32", low, "3"), "16", tileB))
}

// product loops over k, two stages ahead of what is multiplied.
func (g *tensorGemm) product() {
	for range g.tile.warpRows / 16 {
		line := make([][4]string, g.tile.warpCols/8)
		for j := range line {
			line[j] = g.zeros()
		}
		g.sums = append(g.sums, line)
	}
	size := g.tile.stageBytes()
	for s := range stages - 1 {
		k := g.set("r", "mov.u32", num(s*g.t.depth()))
		slot := g.set("r", "mov.u32", num(s*size))
		g.fetch(k, slot)()
	}
	read, write := g.set("r", "mov.u32", "0"), g.set("r", "mov.u32", num((stages-1)*size))
	g.forStep("0", g.k, g.t.depth(), func(k0 string) {
		g.i("cp.async.wait_group %d", stages-2)
		g.i("bar.sync 0")
		store := g.fetch(g.set("r", "add.u32", k0, num((stages-1)*g.t.depth())), write)
		for at := 0; at < depthBytes; at += stepBytes {
			g.multiply(read, at)
		}
		store()
		for _, slot := range []string{read, write} {
			g.i("add.u32 %s, %s, %d", slot, slot, size)
			last := g.set("p", "setp.eq.u32", slot, num(stages*size))
			g.i("selp.b32 %s, 0, %s, %s", slot, slot, last)
		}
	})
}

// fetch starts what brings step k into the stage at slot; store ends it.
func (g *tensorGemm) fetch(k, slot string) (store func()) {
	a, b := make([][]string, len(g.fromA)), make([][]string, len(g.fromB))
	for s := range a {
		a[s] = g.line(g.set("r", "add.u32", k, g.kA), g.scaled(g.fromA[s], k, 4), g.inM[s], g.quick[s])
	}
	for s := range b {
		b[s] = g.none(g.t.each())
	}
	g.eitherB(func() { g.copyRounded(k, slot) }, func() {
		for s := range b {
			from := g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", k), g.bk, g.fromB[s])
			g.into(b[s], g.set("r", "add.u32", k, g.kB), from, g.inN[s], g.bk)
		}
	})
	g.i("cp.async.commit_group")
	return func() {
		g.storeLines(g.set("r", "add.u32", g.toA, slot), a)
		g.eitherB(func() {}, func() { g.storeLines(g.set("r", "add.u32", g.toB, slot), b) })
	}
}

// eitherB prints what is to be done where B is rounded and where it is f32.
func (g *tensorGemm) eitherB(rounded, plain func()) {
	if !g.tile.anyB {
		rounded()
		return
	}
	f32, end := g.fresh("plain"), g.fresh("end")
	g.i("@!%s bra %s", g.hasRounded, f32)
	rounded()
	g.i("bra %s", end)
	g.label(f32)
	plain()
	g.label(end)
}

// copyRounded starts the copies of what this thread brings of B.
func (g *tensorGemm) copyRounded(k, slot string) {
	in := g.set("p", "setp.lt.u32", k, g.k)
	at := g.set("r", "mul.lo.u32", k, num(4/g.t.perWord))
	to := g.set("r", "add.u32", g.toRounded, slot)
	for s := range g.rounded {
		g.i("@%s cp.async.cg.shared.global [%s+%d], [%s], 16, %s", in, to, s*slab*lineBytes, g.scaled(g.rounded[s], at, 1), g.size[s])
	}
}

func (g *tensorGemm) none(n int) (v []string) {
	for range n {
		v = append(v, g.set("f", "mov.f32", "0f00000000"))
	}
	return v
}

// line loads neighbours along k, contiguous; what lies outside the matrix is 0.
func (g *tensorGemm) line(k, from, inside, quick string) []string {
	v := g.none(g.t.each())
	slow, done := g.fresh("slow"), g.fresh("loaded")
	all := g.set("p", "setp.lt.and.u32", g.set("r", "add.u32", k, num(len(v)-1)), g.k, quick)
	g.i("@!%s bra %s", all, slow)
	for i := 0; i < len(v); i += 4 {
		g.i("ld.global.v4.f32 {%s}, [%s+%d]", strings.Join(v[i:i+4], ", "), from, i*4)
	}
	g.i("bra %s", done)
	g.label(slow)
	g.into(v, k, from, inside, g.set("l", "mov.b64", "4"))
	g.label(done)
	return v
}

// into loads neighbours along k, step bytes apart, one by one.
func (g *tensorGemm) into(v []string, k, from, inside, step string) {
	for i := range v {
		p := g.set("p", "setp.lt.and.u32", g.set("r", "add.u32", k, num(i)), g.k, inside)
		g.i("@%s ld.global.f32 %s, [%s]", p, v[i], from)
		from = g.set("l", "add.s64", from, step)
	}
}

// storeLines rounds what this thread has loaded of each slab, and stores it.
func (g *tensorGemm) storeLines(to string, lines [][]string) {
	for s, v := range lines {
		g.i("st.shared.v4.u32 [%s+%d], {%s}", to, s*slab*lineBytes, strings.Join(g.words(g.t, v), ", "))
	}
}

// multiply adds the part of a stage that one mma takes of each row.
func (g *tensorGemm) multiply(slot string, at int) {
	from := g.set("r", "add.u32", g.fragA, slot)
	a := make([][]string, len(g.sums))
	for i := range a {
		a[i] = g.ldmatrix(from, i*16*lineBytes+at)
	}
	from = g.set("r", "add.u32", g.fragB, slot)
	for j := 0; j < g.tile.warpCols/8; j += 2 {
		b := g.ldmatrix(from, j*8*lineBytes+at)
		for i := range a {
			g.mma(g.t, &g.sums[i][j], a[i], b[:2])
			g.mma(g.t, &g.sums[i][j+1], a[i], b[2:])
		}
	}
}

// places are the rows and columns of C that this thread has.
func (g *tensorGemm) places() (rows, cols []string) {
	row := g.set("r", "add.u32", g.set("r", "add.u32", g.m0, g.warpRow), g.group)
	col := g.set("r", "mad.lo.u32", g.member, "2", g.set("r", "add.u32", g.n0, g.warpCol))
	for i := range g.sums {
		rows = append(rows, g.set("r", "add.u32", row, num(16*i)), g.set("r", "add.u32", row, num(16*i+8)))
	}
	for j := range g.sums[0] {
		cols = append(cols, g.set("r", "add.u32", col, num(8*j)), g.set("r", "add.u32", col, num(8*j+1)))
	}
	return rows, cols
}

func (g *tensorGemm) results() [][]string {
	acc := make([][]string, 2*len(g.sums))
	for i, line := range g.sums {
		for _, s := range line {
			acc[2*i], acc[2*i+1] = append(acc[2*i], s[0], s[1]), append(acc[2*i+1], s[2], s[3])
		}
	}
	return acc
}

// operandsEntry prints what rounds weights, panels of sixteen columns of f32, to operands, a row a column: a thread a word.
func operandsEntry(dtype string) string {
	t := tensorTypes[dtype]
	return entry("operands", "operands rounds weights to "+dtype+", each column's along k and zeros behind them", cuda.OperandWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.OperandTotal))
		words := a.word32(cuda.OperandRowWords)
		col, k := a.set("r", "div.u32", thread, words), a.set("r", "mul.lo.u32", a.set("r", "rem.u32", thread, words), num(t.perWord))
		panel := a.set("l", "cvt.u64.u32", a.set("r", "shr.u32", col, "4"))
		from := a.set("l", "mad.lo.s64", panel, a.word(cuda.OperandPanel), a.word(cuda.OperandFrom))
		from = a.scaled(a.scaled(from, k, 64), a.set("r", "and.b32", col, "15"), 4)
		var v []string
		for i := range t.perWord {
			x := a.set("f", "mov.f32", "0f00000000")
			p := a.set("p", "setp.lt.u32", a.set("r", "add.u32", k, num(i)), a.word32(cuda.OperandK))
			a.i("@%s ld.global.f32 %s, [%s+%d]", p, x, from, 64*i)
			v = append(v, x)
		}
		a.i("st.global.u32 [%s], %s", a.scaled(a.word(cuda.OperandTo), thread, 4), a.words(t, v)[0])
		a.i("ret")
	})
}
