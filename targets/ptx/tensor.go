package ptx

import (
	"fmt"
	"strings"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// The product on tensor cores (mma.sync, PTX ISA 9.7.14): operands rounded to bf16, f16 or tf32, sums in f32. A block computes
// 64 x 64 elements, thirty-two steps of k at a time; its eight warps stand four by two and each has 16 x 32. In shared memory A is
// [row][k] and B [column][k], rows padded by four words so that the fragments of a warp lie in different banks. One instruction
// takes eight words of k, which are sixteen halves or eight tf32.

// tensorType is an operand type: its instruction, how f32 values become words, and how many words a row of a tile has.
type tensorType struct {
	mma, convert string
	halves       bool
}

var tensorTypes = map[string]tensorType{
	"bf16": {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cvt.rn.bf16x2.f32", true},
	"f16":  {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "cvt.rn.f16x2.f32", true},
	"tf32": {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "cvt.rna.tf32.f32", false},
}

const (
	tensorDepth = 32
	warpCols    = 32
	each        = tensorDepth * tileSide / threads // elements of A, and of B, that a thread loads: neighbours along k
)

func (t tensorType) words() int {
	if t.halves {
		return tensorDepth / 2
	}
	return tensorDepth
}

// rowBytes is a row of a tile in shared memory.
func (t tensorType) rowBytes() int { return (t.words() + 4) * 4 }

func tensorEntry(name string, act *loop.Kernel, dtype string) string {
	t := tensorTypes[dtype]
	comment := name + " computes C = A B + Bias + Res with operands in " + dtype + " and sums in f32"
	if act != nil {
		comment += "; the sum goes through " + act.Name
	}
	return entry(name, comment, cuda.GemmWords, threads, 2*tileSide*t.rowBytes(), func(a *asm) {
		g := &tensorGemm{gemm: gemm{asm: a, act: act}, t: t}
		g.place()
		g.product()
		rows, cols := g.places()
		g.finish(rows, cols, g.results())
		a.i("ret")
	})
}

type tensorGemm struct {
	gemm
	t                      tensorType
	fromA, fromB, kA, kB   string // global addresses at k = 0 of what this thread loads, and its first step of k
	inM, inN               string // whether they lie in the matrices
	toA, toB, fragA, fragB string // shared addresses
	warpRow, warpCol       string
	group, member          string // lane / 4, lane % 4
	sums                   [warpCols / 8][4]string
}

func (g *tensorGemm) place() {
	matA, matB := g.block()
	row, part := g.set("r", "shr.u32", g.tid, "2"), g.set("r", "and.b32", g.tid, "3")
	g.kA = g.set("r", "shl.b32", part, "3")
	r := g.set("r", "add.u32", g.m0, row)
	g.inM = g.set("p", "setp.lt.u32", r, g.m)
	g.fromA = g.scaled(g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", r), g.word(cuda.GemmLDA), matA), g.kA, 4)
	col := g.set("r", "and.b32", g.tid, "63")
	g.kB = g.set("r", "shl.b32", g.set("r", "shr.u32", g.tid, "6"), "3")
	c := g.set("r", "add.u32", g.n0, col)
	g.inN = g.set("p", "setp.lt.u32", c, g.n)
	g.fromB = g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", g.kB), g.bk, g.columnOf(matB, c))
	bytes := 4
	if g.t.halves {
		bytes = 2
	}
	g.toA = g.set("r", "mad.lo.u32", row, num(g.t.rowBytes()), g.set("r", "mad.lo.u32", g.kA, num(bytes), g.shared))
	tileB := g.set("r", "add.u32", g.shared, num(tileSide*g.t.rowBytes()))
	g.toB = g.set("r", "mad.lo.u32", col, num(g.t.rowBytes()), g.set("r", "mad.lo.u32", g.kB, num(bytes), tileB))
	g.fragments(tileB)
	for i := range g.sums {
		for j := range g.sums[i] {
			g.sums[i][j] = g.set("f", "mov.f32", "0f00000000")
		}
	}
}

// fragments finds where this thread's parts of the operands start: row or column group of its warp's tile, word member.
func (g *tensorGemm) fragments(tileB string) {
	warp, lane := g.set("r", "shr.u32", g.tid, "5"), g.set("r", "and.b32", g.tid, "31")
	g.warpRow = g.set("r", "shl.b32", g.set("r", "shr.u32", warp, "1"), "4")
	g.warpCol = g.set("r", "shl.b32", g.set("r", "and.b32", warp, "1"), "5")
	g.group, g.member = g.set("r", "shr.u32", lane, "2"), g.set("r", "and.b32", lane, "3")
	at := func(tile, first string) string {
		row := g.set("r", "add.u32", first, g.group)
		return g.set("r", "mad.lo.u32", row, num(g.t.rowBytes()), g.set("r", "mad.lo.u32", g.member, "4", tile))
	}
	g.fragA, g.fragB = at(g.shared, g.warpRow), at(tileB, g.warpCol)
}

func (g *tensorGemm) product() {
	g.forStep("0", g.k, tensorDepth, func(k0 string) {
		a := g.loadLine(g.scaled(g.fromA, k0, 4), g.set("l", "mov.b64", "4"), g.set("r", "add.u32", k0, g.kA), g.inM)
		at := g.set("l", "mad.lo.s64", g.set("l", "cvt.u64.u32", k0), g.bk, g.fromB)
		b := g.loadLine(at, g.bk, g.set("r", "add.u32", k0, g.kB), g.inN)
		g.storeLine(g.toA, a)
		g.storeLine(g.toB, b)
		g.i("bar.sync 0")
		for word := 0; word < g.t.words(); word += 8 {
			g.multiply(word * 4)
		}
		g.i("bar.sync 0")
	})
}

// loadLine loads neighbours along k; what lies outside the matrix is 0.
func (g *tensorGemm) loadLine(from, step, k, inside string) (v [each]string) {
	for i := range v {
		v[i] = g.set("f", "mov.f32", "0f00000000")
		p := g.set("p", "setp.lt.and.u32", g.set("r", "add.u32", k, num(i)), g.k, inside)
		g.i("@%s ld.global.f32 %s, [%s]", p, v[i], from)
		from = g.set("l", "add.s64", from, step)
	}
	return v
}

func (g *tensorGemm) storeLine(to string, v [each]string) {
	var words []string
	for i := 0; i < each; i++ {
		if g.t.halves {
			words = append(words, g.set("r", g.t.convert, v[i+1], v[i])) // the second operand is the low half
			i++
			continue
		}
		words = append(words, g.set("r", g.t.convert, v[i]))
	}
	for i := 0; i < len(words); i += 4 {
		g.i("st.shared.v4.u32 [%s+%d], {%s}", to, i*4, strings.Join(words[i:i+4], ", "))
	}
}

// multiply adds eight words of k at an offset in bytes.
func (g *tensorGemm) multiply(at int) {
	row := g.t.rowBytes()
	load := func(base string, off int) string {
		return g.set("r", "ld.shared.u32", fmt.Sprintf("[%s+%d]", base, off))
	}
	a := []string{load(g.fragA, at), load(g.fragA, at+8*row), load(g.fragA, at+16), load(g.fragA, at+8*row+16)}
	for i := range g.sums {
		b := []string{load(g.fragB, at+8*i*row), load(g.fragB, at+8*i*row+16)}
		sum := "{" + strings.Join(g.sums[i][:], ", ") + "}"
		g.i("%s %s, {%s}, {%s}, %s", g.t.mma, sum, strings.Join(a, ", "), strings.Join(b, ", "), sum)
	}
}

// places are the two rows and eight columns of C that this thread has.
func (g *tensorGemm) places() (rows, cols []string) {
	row := g.set("r", "add.u32", g.set("r", "add.u32", g.m0, g.warpRow), g.group)
	col := g.set("r", "mad.lo.u32", g.member, "2", g.set("r", "add.u32", g.n0, g.warpCol))
	for i := range g.sums {
		cols = append(cols, g.set("r", "add.u32", col, num(8*i)), g.set("r", "add.u32", col, num(8*i+1)))
	}
	return []string{row, g.set("r", "add.u32", row, "8")}, cols
}

func (g *tensorGemm) results() [][]string {
	acc := make([][]string, 2)
	for _, s := range g.sums {
		acc[0], acc[1] = append(acc[0], s[0], s[1]), append(acc[1], s[2], s[3])
	}
	return acc
}
