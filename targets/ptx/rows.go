package ptx

import (
	"fmt"
	"strings"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

const threads = 256

// place is where a row's buffer lies: a state space and the address of its first element.
type place struct{ space, addr string }

var reducers = map[loop.Code]string{loop.SumLanes: "add.rn.f32", loop.DotLanes: "add.rn.f32", loop.ProdLanes: "mul.rn.f32"}

var neutral = map[loop.Code]string{loop.MaxLanes: "0fFF800000", loop.MinLanes: "0f7F800000", loop.ProdLanes: "0f3F800000"}

// lanesBody prints a kernel on one row by the sixteen threads of half a warp: thread lane has the elements lane, lane+16, …. All
// threads of the warp must come here together; where there is no row, n is 0. writer is a predicate: the thread that stores
// uniform results.
func (a *asm) lanesBody(k *loop.Kernel, bufs []place, n, lane, writer string) {
	at := "" // the current element, or "" outside loops
	lanes := map[loop.Val]string{}
	b := &body{asm: a, k: k, vals: map[loop.Val]string{}, length: n}
	addr := func(buf int) string {
		if at == "" || k.Bufs[buf].Uniform {
			return bufs[buf].addr
		}
		return a.scaled(bufs[buf].addr, at, int(k.Bufs[buf].Elem.Size()))
	}
	b.load = func(buf int) string { return a.loadElem(k.Bufs[buf].Elem, bufs[buf].space, addr(buf)) }
	b.store = func(buf int, x string, e loop.Elem) {
		if at != "" {
			a.storeElem(e, bufs[buf].space, addr(buf), x)
			return
		}
		skip := a.fresh("skip")
		a.i("@!%s bra %s", writer, skip)
		a.storeElem(e, bufs[buf].space, addr(buf), x)
		a.label(skip)
	}
	b.reduce = func(v loop.Val, in *loop.Inst, x string) { b.accumulate(in, x, lanes[v]) }
	for _, s := range k.Stages {
		if !s.Loop {
			for _, v := range s.Insts {
				b.inst(v)
			}
			continue
		}
		for _, v := range s.Insts {
			if c := k.Insts[v].Code; c.Reduction() {
				lanes[v] = a.set("f", "mov.f32", orZero(neutral[c]))
			}
		}
		a.forStep(lane, n, 16, func(index string) {
			at = index
			for _, v := range s.Insts {
				b.inst(v)
			}
			at = ""
		})
		for _, v := range s.Insts {
			if c := k.Insts[v].Code; c.Reduction() {
				b.vals[v] = b.tree(c, lanes[v])
			}
		}
	}
}

func orZero(s string) string {
	if s == "" {
		return "0f00000000"
	}
	return s
}

func (b *body) accumulate(in *loop.Inst, x, lane string) {
	switch in.Code {
	case loop.DotLanes:
		b.i("fma.rn.f32 %s, %s, %s, %s", lane, x, b.vals[in.Args[1]], lane)
	case loop.MaxLanes, loop.MinLanes:
		b.i("mov.f32 %s, %s", lane, b.extreme(in.Code == loop.MinLanes, loop.F32, x, lane))
	default:
		b.i("%s %s, %s, %s", reducers[in.Code], lane, x, lane)
	}
}

// tree combines sixteen lanes in the order 8, 4, 2, 1 and gives every thread lane 0's result.
func (b *body) tree(c loop.Code, x string) string {
	for _, w := range []int{8, 4, 2, 1} {
		y := b.shuffle("down", x, w)
		if name := reducers[c]; name != "" {
			x = b.set("f", name, x, y)
		} else {
			x = b.extreme(c == loop.MinLanes, loop.F32, x, y)
		}
	}
	return b.shuffle("idx", x, 0)
}

// shuffle exchanges values within groups of sixteen threads.
func (b *body) shuffle(mode, x string, by int) string {
	bits := b.set("r", "mov.b32", x)
	got := b.set("r", "shfl.sync."+mode+".b32", bits, num(by), "0x101f", "0xffffffff")
	return b.set("f", "mov.b32", got)
}

// whole reports whether a kernel must see whole rows.
func whole(k *loop.Kernel) bool {
	for _, in := range k.Insts {
		if in.Code.Reduction() || in.Code == loop.Len {
			return true
		}
	}
	return false
}

// rowEntry prints a row kernel as an entry: half a warp a row if it reduces, otherwise a thread an element.
func rowEntry(name string, k *loop.Kernel) string {
	comment := name + " is " + k.Name + ":\n" + strings.TrimSpace(k.String())
	return entry(name, comment, cuda.RowWords, threads, 0, func(a *asm) {
		if whole(k) {
			a.rowsByLanes(k)
		} else {
			a.rowsByElement(k)
		}
	})
}

// rowIndex is this half warp's row and lane.
func (a *asm) rowIndex() (row, lane string) {
	tid := a.set("r", "mov.u32", "%tid.x")
	thread := a.set("r", "mad.lo.u32", a.set("r", "mov.u32", "%ctaid.x"), num(threads), tid)
	return a.set("r", "shr.u32", thread, "4"), a.set("r", "and.b32", tid, "15")
}

func (a *asm) rowsByLanes(k *loop.Kernel) {
	row, lane := a.rowIndex()
	active := a.set("p", "setp.lt.u32", row, a.word32(cuda.RowOuter))
	n := a.set("r", "selp.b32", a.word32(cuda.RowLength), "0", active)
	row = a.set("r", "selp.b32", row, "0", active)
	writer := a.set("p", "setp.eq.and.u32", lane, "0", active)
	a.lanesBody(k, a.rowPlaces(k, row), n, lane, writer)
	a.i("ret")
}

// rowPlaces are the buffers of a row.
func (a *asm) rowPlaces(k *loop.Kernel, row string) []place {
	out := make([]place, len(k.Bufs))
	for b := range k.Bufs {
		out[b] = place{"global", a.word(cuda.RowPtrs + b)}
	}
	params := a.set("l", "mov.u64", "args")
	rest := a.set("r", "mov.u32", row)
	a.forDown(a.word32(cuda.RowRank), func(axis string) {
		dim := a.set("r", "cvt.u32.u64", a.wordAt(params, axis, cuda.RowDims))
		c := a.set("r", "rem.u32", rest, dim)
		a.i("div.u32 %s, %s, %s", rest, rest, dim)
		wide := a.set("l", "cvt.u64.u32", c)
		for b := range k.Bufs {
			stride := a.wordAt(params, axis, cuda.RowStride+b*cuda.MaxAxes)
			a.i("mad.lo.s64 %s, %s, %s, %s", out[b].addr, wide, stride, out[b].addr)
		}
	})
	return out
}

func (a *asm) rowsByElement(k *loop.Kernel) {
	n, outer := a.word32(cuda.RowLength), a.word32(cuda.RowOuter)
	thread := a.threadOf(a.set("r", "mul.lo.u32", n, outer))
	bufs := a.rowPlaces(k, a.set("r", "div.u32", thread, n))
	a.elementBody(k, bufs, a.set("r", "rem.u32", thread, n), n)
	a.i("ret")
}

// elementBody prints a kernel without reductions on element at of a row.
func (a *asm) elementBody(k *loop.Kernel, bufs []place, at, n string) {
	b := &body{asm: a, k: k, vals: map[loop.Val]string{}, length: n}
	addr := func(buf int) string {
		if k.Bufs[buf].Uniform {
			return bufs[buf].addr
		}
		return a.scaled(bufs[buf].addr, at, int(k.Bufs[buf].Elem.Size()))
	}
	b.load = func(buf int) string { return a.loadElem(k.Bufs[buf].Elem, bufs[buf].space, addr(buf)) }
	b.store = func(buf int, x string, e loop.Elem) { a.storeElem(e, bufs[buf].space, addr(buf), x) }
	for _, s := range k.Stages {
		for _, v := range s.Insts {
			b.inst(v)
		}
	}
}

// epilogue prints an elementwise kernel between registers: in are its inputs in order; it gives the output.
func (a *asm) epilogue(k *loop.Kernel, in []string) (out string) {
	b := &body{asm: a, k: k, vals: map[loop.Val]string{}}
	b.load = func(buf int) string { return in[buf] }
	b.store = func(_ int, x string, _ loop.Elem) { out = x }
	for _, s := range k.Stages {
		for _, v := range s.Insts {
			b.inst(v)
		}
	}
	return out
}

// embeddingEntry prints a row kernel on rows of tables, picked by indices: half a warp a place.
func embeddingEntry(name string, k *loop.Kernel) string {
	comment := fmt.Sprintf("%s is %s on rows that indices pick from %d tables", name, k.Name, len(k.Bufs)-1)
	return entry(name, comment, cuda.EmbWords, threads, 0, func(a *asm) {
		place, lane := a.rowIndex()
		active := a.set("p", "setp.lt.u32", place, a.word32(cuda.EmbPlaces))
		n := a.set("r", "selp.b32", a.word32(cuda.EmbWidth), "0", active)
		row := a.set("r", "selp.b32", place, "0", active)
		writer := a.set("p", "setp.eq.and.u32", lane, "0", active)
		a.lanesBody(k, a.tableRows(k, row), n, lane, writer)
		a.i("ret")
	})
}

// tableRows are the picked rows of the tables, then the output's row.
func (a *asm) tableRows(k *loop.Kernel, index string) []place {
	count := len(k.Bufs) - 1
	addrs := make([]string, count)
	for t := range count {
		addrs[t] = a.word(cuda.EmbTable + t*cuda.EmbTableWords + 1)
	}
	params := a.set("l", "mov.u64", "args")
	rest := a.set("r", "mov.u32", index)
	a.forDown(a.word32(cuda.EmbRank), func(axis string) {
		dim := a.set("r", "cvt.u32.u64", a.wordAt(params, axis, cuda.EmbDims))
		c := a.set("l", "cvt.u64.u32", a.set("r", "rem.u32", rest, dim))
		a.i("div.u32 %s, %s, %s", rest, rest, dim)
		for t := range count {
			a.i("mad.lo.s64 %s, %s, %s, %s", addrs[t], c, a.wordAt(params, axis, cuda.EmbTable+t*cuda.EmbTableWords+4), addrs[t])
		}
	})
	row := a.set("l", "mul.wide.u32", a.word32(cuda.EmbWidth), "4")
	out := make([]place, 0, count+1)
	for t, addr := range addrs {
		out = append(out, place{"global", a.tableRow(cuda.EmbTable+t*cuda.EmbTableWords, addr, row)})
	}
	at := a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", index), row, a.word(cuda.EmbOut))
	return append(out, place{"global", at})
}

// tableRow is the address of the row that the index at addr names; one outside the table sets the fault and reads row 0.
func (a *asm) tableRow(table int, addr, row string) string {
	wide := a.set("p", "setp.ne.s64", a.word(table+3), "0")
	index := a.readIndex(wide, addr, addr, a.word(table+2), a.word(cuda.EmbFault))
	return a.set("l", "mad.lo.s64", index, row, a.word(table))
}
