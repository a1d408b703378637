package ptx

import (
	"fmt"

	"mmc/runtime/cuda"
)

// threadOf is this thread's number; threads from total on leave.
func (a *asm) threadOf(total string) string {
	thread := a.set("r", "mad.lo.u32", a.set("r", "mov.u32", "%ctaid.x"), num(threads), a.set("r", "mov.u32", "%tid.x"))
	p := a.set("p", "setp.ge.u32", thread, total)
	a.i("@%s ret", p)
	return thread
}

// moveEntry prints the copy of elements of size bytes between strided places: a thread an element.
func moveEntry(size int) string {
	name := fmt.Sprintf("move%d", size)
	return entry(name, name+" copies elements of "+num(size)+" bytes between strided places", cuda.MoveWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.MoveTotal))
		from, to, params := a.word(cuda.MoveFrom), a.word(cuda.MoveTo), a.set("l", "mov.u64", "args")
		a.forDown(a.word32(cuda.MoveRank), func(axis string) {
			dim := a.set("r", "cvt.u32.u64", a.wordAt(params, axis, cuda.MoveDims))
			c := a.set("l", "cvt.u64.u32", a.set("r", "rem.u32", thread, dim))
			a.i("div.u32 %s, %s, %s", thread, thread, dim)
			a.i("mad.lo.s64 %s, %s, %s, %s", from, c, a.wordAt(params, axis, cuda.MoveSF), from)
			a.i("mad.lo.s64 %s, %s, %s, %s", to, c, a.wordAt(params, axis, cuda.MoveST), to)
		})
		x := a.set("l", fmt.Sprintf("ld.global.u%d", size*8), "["+from+"]")
		a.i("st.global.u%d [%s], %s", size*8, to, x)
		a.i("ret")
	})
}

// gatherEntry prints the copy of slices that indices pick along an axis, or tuples of indices along several, in units of size bytes:
// a thread a unit.
func gatherEntry(size int) string {
	name := fmt.Sprintf("gather%d", size)
	return entry(name, name+" copies slices that indices pick, "+num(size)+" bytes a thread", cuda.GatherWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.GatherTotal))
		inner := a.word(cuda.GatherInner)
		units := a.set("r", "div.u32", a.set("r", "cvt.u32.u64", inner), num(size))
		unit := a.set("r", "rem.u32", thread, units)
		slice := a.set("r", "div.u32", thread, units)
		count := a.word32(cuda.GatherCount)
		c := a.set("r", "rem.u32", slice, count)
		outer := a.set("l", "cvt.u64.u32", a.set("r", "div.u32", slice, count))
		axis := a.set("l", "mul.lo.s64", a.word(cuda.GatherAxis), inner)
		from := a.scaled(a.set("l", "mad.lo.s64", outer, axis, a.word(cuda.GatherData)), unit, size)
		a.i("add.s64 %s, %s, %s", from, from, a.gatherOffset(c, inner))
		to := a.scaled(a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", slice), inner, a.word(cuda.GatherOut)), unit, size)
		x := a.set("l", fmt.Sprintf("ld.global.u%d", size*8), "["+from+"]")
		a.i("st.global.u%d [%s], %s", size*8, to, x)
		a.i("ret")
	})
}

// gatherOffset is the offset in bytes that index, or tuple, c picks.
func (a *asm) gatherOffset(c, inner string) string {
	at, params := a.set("l", "mov.b64", "0"), a.set("l", "mov.u64", "args")
	axes := a.word32(cuda.GatherAxes)
	tuple, done := a.fresh("tuple"), a.fresh("picked")
	many := a.set("p", "setp.ne.u32", axes, "0")
	a.i("@%s bra %s", many, tuple)
	k := a.pick(c, a.word(cuda.GatherAxis))
	a.i("mul.lo.s64 %s, %s, %s", at, k, inner)
	a.i("bra %s", done)
	a.label(tuple)
	a.forDown(axes, func(axis string) {
		k := a.pick(a.set("r", "mad.lo.u32", c, axes, axis), a.wordAt(params, axis, cuda.GatherDims))
		a.i("mad.lo.s64 %s, %s, %s, %s", at, k, a.wordAt(params, axis, cuda.GatherStride), at)
	})
	a.label(done)
	return at
}

// pick is index i of a gather, counted from the end if negative; one outside the axis sets the fault and is 0.
func (a *asm) pick(i, size string) string {
	index := a.word(cuda.GatherIndex)
	wide := a.set("p", "setp.ne.s64", a.word(cuda.GatherWide), "0")
	return a.readIndex(wide, a.scaled(index, i, 4), a.scaled(index, i, 8), size, a.word(cuda.GatherFault))
}

// readIndex reads an index of 4 bytes at narrow or of 8 at wide.
func (a *asm) readIndex(isWide, narrow, wide, size, fault string) string {
	small, done := a.fresh("narrow"), a.fresh("index")
	index := a.reg("l")
	a.i("@!%s bra %s", isWide, small)
	a.i("ld.global.s64 %s, [%s]", index, wide)
	a.i("bra %s", done)
	a.label(small)
	a.i("ld.global.s32 %s, [%s]", index, narrow)
	a.label(done)
	below := a.set("p", "setp.lt.s64", index, "0")
	a.i("@%s add.s64 %s, %s, %s", below, index, index, size)
	bad := a.set("p", "setp.ge.u64", index, size)
	a.i("@%s st.global.u64 [%s], 1", bad, fault)
	a.i("@%s mov.b64 %s, 0", bad, index)
	return index
}

// fillEntry prints start, start+step, …; numbersEntry numbers that the host knows.
func fillEntry() string {
	return entry("fill", "fill writes start + i * step", cuda.FillWords, threads, 0, func(a *asm) {
		i := a.threadOf(a.word32(cuda.FillCount))
		x := a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", i), a.word(cuda.FillStep), a.word(cuda.FillStart))
		a.storeNumber(a.word(cuda.FillTo), i, a.word32(cuda.FillKind), x)
		a.i("ret")
	})
}

func numbersEntry() string {
	return entry("numbers", "numbers writes numbers that the host knows", cuda.NumbersWords, threads, 0, func(a *asm) {
		i := a.threadOf(a.word32(cuda.NumbersCount))
		x := a.wordAt(a.set("l", "mov.u64", "args"), i, cuda.NumbersValues)
		a.storeNumber(a.word(cuda.NumbersTo), i, a.word32(cuda.NumbersKind), x)
		a.i("ret")
	})
}

// storeNumber stores x as element i of an array of a kind.
func (a *asm) storeNumber(to, i, kind, x string) {
	narrow, wide := a.scaled(to, i, 4), a.scaled(to, i, 8)
	is64 := a.set("p", "setp.eq.u32", kind, num(cuda.KindI64))
	isFloat := a.set("p", "setp.eq.u32", kind, num(cuda.KindF32))
	f := a.set("f", "cvt.rn.f32.s64", x)
	bits := a.set("l", "cvt.u64.u32", a.set("r", "mov.b32", f))
	value := a.set("l", "selp.b64", bits, x, isFloat)
	a.i("@%s st.global.u64 [%s], %s", is64, wide, value)
	a.i("@!%s st.global.u32 [%s], %s", is64, narrow, value)
}

// windowsEntry prints the windows of a convolution over up to three axes as rows (im2col): a thread an element.
func windowsEntry() string {
	return entry("windows", "windows lays the windows of a convolution out as rows of [channel][kernel]", cuda.WindowWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.WindowTotal))
		rest := a.set("r", "mov.u32", thread)
		next := func(size string) string {
			c := a.set("r", "rem.u32", rest, size)
			a.i("div.u32 %s, %s, %s", rest, rest, size)
			return c
		}
		var k, w [3]string
		for i := 2; i >= 0; i-- {
			k[i] = next(a.word32(cuda.WindowKernel + i))
		}
		channels := a.word32(cuda.WindowChannels)
		channel := next(channels)
		for i := 2; i >= 0; i-- {
			w[i] = next(a.word32(cuda.WindowCount + i))
		}
		line := a.set("l", "cvt.u64.u32", a.set("r", "mad.lo.u32", rest, channels, channel))
		inside := a.set("p", "setp.eq.u32", thread, thread)
		for i := range 3 {
			// Wraps around below 0, and is then no place within the axis.
			p := a.set("r", "mul.lo.u32", w[i], a.word32(cuda.WindowStride+i))
			p = a.set("r", "mad.lo.u32", k[i], a.word32(cuda.WindowDilation+i), p)
			p = a.set("r", "sub.u32", p, a.word32(cuda.WindowPad+i))
			inside = a.set("p", "setp.lt.and.u32", p, a.word32(cuda.WindowIn+i), inside)
			line = a.set("l", "mad.lo.s64", line, a.word(cuda.WindowIn+i), a.set("l", "cvt.u64.u32", p))
		}
		x := a.set("f", "mov.f32", "0f00000000")
		from := a.set("l", "mad.lo.s64", line, "4", a.word(cuda.WindowX))
		a.i("@%s ld.global.f32 %s, [%s]", inside, x, from)
		a.i("st.global.f32 [%s], %s", a.scaled(a.word(cuda.WindowOut), thread, 4), x)
		a.i("ret")
	})
}
