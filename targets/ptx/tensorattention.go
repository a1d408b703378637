package ptx

import (
	"fmt"

	"mmc/runtime/cuda"
)

// Attention with both products on tensor cores: a block has sixteen rows of queries, as many as one mma, so every key and value is read
// by one warp alone and goes from memory to its registers. Scores stay in shared memory in f32, and softmax is the row kernel on them.

// scoreKeys is how many keys a warp takes at once, in groups of eight.
const scoreKeys = 16

type tensorAttention struct {
	attention
	t             tensorType
	warp          string
	group, member string // lane / 4, lane % 4
}

func (a attention) onTensorCores(dtype string) *tensorAttention {
	t := &tensorAttention{attention: a, t: tensorTypes[dtype]}
	lane := t.set("r", "and.b32", t.tid, "31")
	t.warp = t.set("r", "shr.u32", t.tid, "5")
	t.group, t.member = t.set("r", "shr.u32", lane, "2"), t.set("r", "and.b32", lane, "3")
	return t
}

// step is how far along k one mma goes.
func (t *tensorAttention) step() int { return 8 * t.t.perWord }

// along prints body for every whole step below n, then, where there is a rest, once more with predicates of which of a thread's
// elements along k there are.
func (t *tensorAttention) along(n string, body func(in []string)) {
	rest := t.set("r", "and.b32", n, num(t.step()-1))
	t.forStep("0", t.set("r", "sub.u32", n, rest), t.step(), func(string) { body(nil) })
	done := t.fresh("whole")
	none := t.set("p", "setp.eq.u32", rest, "0")
	t.i("@%s bra %s", none, done)
	first := t.set("r", "mul.lo.u32", t.member, num(t.t.perWord))
	var in []string
	for _, k := range t.places() {
		in = append(in, t.set("p", "setp.lt.u32", t.set("r", "add.u32", first, num(k)), rest))
	}
	body(in)
	t.label(done)
}

// places are a thread's elements along k, from its first: those of two words.
func (t *tensorAttention) places() (at []int) {
	for _, word := range []int{0, 4} {
		for i := range t.t.perWord {
			at = append(at, word*t.t.perWord+i)
		}
	}
	return at
}

// fragment loads a thread's elements along k of a row and rounds them; those that are not there are 0.
func (t *tensorAttention) fragment(space string, addr []string, in []string) []string {
	v := make([]string, len(addr))
	for i, at := range addr {
		if in == nil {
			v[i] = t.set("f", "ld."+space+".f32", at)
			continue
		}
		v[i] = t.set("f", "mov.f32", "0f00000000")
		t.i("@%s ld.%s.f32 %s, %s", in[i], space, v[i], at)
	}
	return t.words(t.t, v)
}

// contiguous are the addresses of elements side by side.
func (t *tensorAttention) contiguous(base string) (addr []string) {
	for _, k := range t.places() {
		addr = append(addr, fmt.Sprintf("[%s+%d]", base, 4*k))
	}
	return addr
}

// pair joins the fragments of rows group and group+8 to one of sixteen rows.
func pair(low, high []string) []string { return []string{low[0], high[0], low[1], high[1]} }

func (t *tensorAttention) scoresOf() {
	last, lastRow := t.set("r", "sub.u32", t.s, "1"), t.set("r", "sub.u32", t.rows, "1")
	bytes := num(4 * t.t.perWord)
	along := func(base, row, limit string, stride int) string {
		return t.set("l", "add.s64", t.at(base, t.set("r", "min.u32", row, limit), stride), t.set("l", "mul.wide.u32", t.member, bytes))
	}
	t.forStep(t.set("r", "mul.lo.u32", t.warp, num(scoreKeys)), t.s, threads/32*scoreKeys, func(key0 string) {
		rows := []string{along(t.q, t.group, lastRow, cuda.AttQ+3), along(t.q, t.set("r", "add.u32", t.group, "8"), lastRow, cuda.AttQ+3)}
		var sums [scoreKeys / 8][4]string
		for j := range sums {
			sums[j] = t.zeros()
			key := t.set("r", "add.u32", t.set("r", "add.u32", key0, num(8*j)), t.group)
			rows = append(rows, along(t.k, key, last, cuda.AttK+3))
		}
		t.along(t.d, func(in []string) {
			q := pair(t.fragment("global", t.contiguous(rows[0]), in), t.fragment("global", t.contiguous(rows[1]), in))
			for j := range sums {
				t.mma(t.t, &sums[j], q, t.fragment("global", t.contiguous(rows[2+j]), in))
			}
			for _, r := range rows {
				t.i("add.s64 %s, %s, %d", r, r, 4*t.step())
			}
		})
		for j := range sums {
			t.elements(t.set("r", "add.u32", key0, num(8*j)), t.s, func(row, key, in string, i int) {
				t.i("@%s st.shared.f32 [%s], %s", in, t.score(row, key), sums[j][i])
			})
		}
	})
}

// elements prints body for the four elements that a thread has of an mma's result whose first column is col0; in says whether the row is
// one of the block's and the column below cols.
func (t *tensorAttention) elements(col0, cols string, body func(row, col, in string, i int)) {
	first := t.set("r", "mad.lo.u32", t.member, "2", col0)
	for i := range 4 {
		row, col := t.set("r", "add.u32", t.group, num(i/2*8)), t.set("r", "add.u32", first, num(i%2))
		in := t.set("p", "setp.lt.and.u32", col, cols, t.set("p", "setp.lt.u32", row, t.rows))
		body(row, col, in, i)
	}
}

func (t *tensorAttention) output() {
	last, step := t.set("r", "sub.u32", t.e, "1"), t.word(cuda.AttV+3)
	first := t.set("r", "mul.lo.u32", t.member, num(t.t.perWord))
	var apart []string
	for _, k := range t.places() {
		apart = append(apart, t.set("l", "mul.lo.s64", step, num(k)))
	}
	next := t.set("l", "mul.lo.s64", step, num(t.step()))
	t.forStep(t.set("r", "shl.b32", t.warp, "3"), t.e, threads/32*8, func(col0 string) {
		col := t.set("r", "min.u32", t.set("r", "add.u32", col0, t.group), last)
		v := t.scaled(t.at(t.v, first, cuda.AttV+3), col, 4)
		rows := []string{t.score(t.group, first), t.score(t.set("r", "add.u32", t.group, "8"), first)}
		sums := t.zeros()
		t.along(t.s, func(in []string) {
			p := pair(t.fragment("shared", t.contiguous(rows[0]), in), t.fragment("shared", t.contiguous(rows[1]), in))
			var addr []string
			for _, a := range apart {
				addr = append(addr, "["+t.set("l", "add.s64", v, a)+"]")
			}
			t.mma(t.t, &sums, p, t.fragment("global", addr, in))
			t.i("add.s64 %s, %s, %s", v, v, next)
			for _, r := range rows {
				t.i("add.u32 %s, %s, %d", r, r, 4*t.step())
			}
		})
		t.elements(col0, t.e, func(row, col, in string, i int) {
			t.i("@%s st.global.f32 [%s], %s", in, t.scaled(t.at(t.out, row, cuda.AttOut+3), col, 4), sums[i])
		})
	})
}
