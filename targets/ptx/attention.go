package ptx

import (
	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// attRows is how many rows of queries a block has: one for each half of its warps.
const attRows = 16

// attentionEntry prints softmax(Q K' scale + mask) V for sixteen rows of one head: the scores stay in shared memory, sixteen rows of S
// floats that the launch provides. Grid: groups of rows, heads, batch. In f32 products are chains of fused multiply-adds in increasing k
// and softmax is the row kernel, so the bits are those of the three steps one by one; otherwise products run on tensor cores.
func attentionEntry(name string, softmax *loop.Kernel, dtype string) string {
	comment := name + " computes softmax(Q K' scale + mask) V with operands in " + dtype + "; the scores stay in shared memory. Softmax is " + softmax.Name
	return "// The scores.\n.extern .shared .align 16 .b8 " + name + "_scores[];\n\n" + entry(name, comment, cuda.AttWords, threads, 0, func(a *asm) {
		t := attention{asm: a}
		t.addresses(name)
		scoresOf, output := t.scoresOf, t.output
		if dtype != "f32" {
			x := t.onTensorCores(dtype)
			scoresOf, output = x.scoresOf, x.output
		}
		scoresOf()
		a.i("bar.sync 0")
		t.softmax(softmax)
		a.i("bar.sync 0")
		output()
		a.i("ret")
	})
}

type attention struct {
	*asm
	tid, rows, row0, s, d, e string
	q, k, v, out, mask       string // of the block's first row, or of row 0 for keys and values
	scores                   string // shared address
}

func (t *attention) addresses(name string) {
	t.tid = t.set("r", "mov.u32", "%tid.x")
	t.row0 = t.set("r", "shl.b32", t.set("r", "mov.u32", "%ctaid.x"), "4")
	t.rows = t.set("r", "min.u32", t.set("r", "sub.u32", t.word32(cuda.AttM), t.row0), num(attRows))
	t.s, t.d, t.e = t.word32(cuda.AttS), t.word32(cuda.AttD), t.word32(cuda.AttE)
	query := t.set("r", "mov.u32", "%ctaid.y")
	head := t.set("l", "cvt.u64.u32", query)
	shared := t.set("l", "cvt.u64.u32", t.set("r", "div.u32", query, t.word32(cuda.AttGroup)))
	batch := t.set("l", "cvt.u64.u32", t.set("r", "mov.u32", "%ctaid.z"))
	view := func(at int, head string, rows bool) string {
		p := t.set("l", "mad.lo.s64", batch, t.word(at+1), t.word(at))
		p = t.set("l", "mad.lo.s64", head, t.word(at+2), p)
		if rows {
			p = t.set("l", "mad.lo.s64", t.set("l", "cvt.u64.u32", t.row0), t.word(at+3), p)
		}
		return p
	}
	t.q, t.out, t.mask = view(cuda.AttQ, head, true), view(cuda.AttOut, head, true), view(cuda.AttMask, head, true)
	t.k, t.v = view(cuda.AttK, shared, false), view(cuda.AttV, shared, false)
	t.scores = t.set("r", "mov.u32", name+"_scores")
}

// pairs prints body for every pair of one of the block's rows and a column below n, a thread a pair.
func (t *attention) pairs(n string, body func(row, col string)) {
	t.forStep(t.tid, t.set("r", "mul.lo.u32", t.rows, n), threads, func(i string) {
		body(t.set("r", "div.u32", i, n), t.set("r", "rem.u32", i, n))
	})
}

// at is base + row * the stride in a word of the parameter.
func (t *attention) at(base, row string, stride int) string {
	return t.set("l", "mad.lo.s64", t.set("l", "cvt.u64.u32", row), t.word(stride), base)
}

// score is the shared address of a score.
func (t *attention) score(row, col string) string {
	return t.set("r", "mad.lo.u32", t.set("r", "mad.lo.u32", row, t.s, col), "4", t.scores)
}

func (t *attention) scoresOf() {
	t.pairs(t.s, func(row, key string) {
		q, k := t.at(t.q, row, cuda.AttQ+3), t.at(t.k, key, cuda.AttK+3)
		acc := t.set("f", "mov.f32", "0f00000000")
		t.forStep("0", t.d, 1, func(string) {
			x, y := t.set("f", "ld.global.f32", "["+q+"]"), t.set("f", "ld.global.f32", "["+k+"]")
			t.i("fma.rn.f32 %s, %s, %s, %s", acc, x, y, acc)
			t.i("add.s64 %s, %s, 4", q, q)
			t.i("add.s64 %s, %s, 4", k, k)
		})
		t.i("st.shared.f32 [%s], %s", t.score(row, key), acc)
	})
}

// softmax runs the row kernel on the scores, half a warp a row.
func (t *attention) softmax(k *loop.Kernel) {
	row, lane := t.set("r", "shr.u32", t.tid, "4"), t.set("r", "and.b32", t.tid, "15")
	active := t.set("p", "setp.lt.u32", row, t.rows)
	n := t.set("r", "selp.b32", t.s, "0", active)
	row = t.set("r", "selp.b32", row, "0", active)
	scores := place{"shared", t.set("l", "cvt.u64.u32", t.score(row, "0"))}
	bufs := []place{scores, scores}
	if len(k.Bufs) == 3 {
		bufs = []place{scores, {"global", t.at(t.mask, row, cuda.AttMask+3)}, scores}
	}
	t.lanesBody(k, bufs, n, lane, active)
}

func (t *attention) output() {
	t.pairs(t.e, func(row, col string) {
		p, v := t.score(row, "0"), t.scaled(t.v, col, 4)
		acc, step := t.set("f", "mov.f32", "0f00000000"), t.word(cuda.AttV+3)
		t.forStep("0", t.s, 1, func(string) {
			x, y := t.set("f", "ld.shared.f32", "["+p+"]"), t.set("f", "ld.global.f32", "["+v+"]")
			t.i("fma.rn.f32 %s, %s, %s, %s", acc, x, y, acc)
			t.i("add.u32 %s, %s, 4", p, p)
			t.i("add.s64 %s, %s, %s", v, v, step)
		})
		t.i("st.global.f32 [%s], %s", t.scaled(t.at(t.out, row, cuda.AttOut+3), col, 4), acc)
	})
}
