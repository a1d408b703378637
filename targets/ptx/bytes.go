package ptx

import (
	"fmt"

	"mmc/runtime/cuda"
)

// narrowEntry prints what makes bytes of whole numbers: a thread a word of a row, zeros behind its last byte.
func narrowEntry() string {
	return entry("narrow", "narrow makes bytes of whole numbers, in words, and of some columns again", cuda.NarrowWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.NarrowTotal))
		words := a.word32(cuda.NarrowRowWords)
		first := a.set("r", "shl.b32", a.set("r", "rem.u32", thread, words), "2")
		row := a.set("l", "cvt.u64.u32", a.set("r", "div.u32", thread, words))
		from := a.set("l", "mad.lo.s64", row, a.word(cuda.NarrowRow), a.word(cuda.NarrowA))
		k, all, lo := a.word32(cuda.NarrowK), a.word32(cuda.NarrowAll), a.word32(cuda.NarrowLo)
		word := a.set("r", "mov.u32", "0")
		for i := range 4 {
			none, own := a.fresh("none"), a.fresh("own")
			c := a.set("r", "add.u32", first, num(i))
			p := a.set("p", "setp.ge.u32", c, all)
			a.i("@%s bra %s", p, none)
			q := a.set("p", "setp.lt.u32", c, k)
			a.i("@%s bra %s", q, own)
			again := a.scaled(a.word(cuda.NarrowAgain), a.set("r", "sub.u32", c, k), 4)
			a.i("ld.global.u32 %s, [%s]", c, again)
			a.label(own)
			x := a.set("f", "ld.global.f32", "["+a.scaled(from, c, 4)+"]")
			b := a.set("r", "sub.u32", a.set("r", "cvt.rni.s32.f32", x), lo)
			a.i("mad.lo.u32 %s, %s, %d, %s", word, a.set("r", "and.b32", b, "255"), 1<<(8*i), word)
			a.label(none)
		}
		a.i("st.global.u32 [%s], %s", a.scaled(a.word(cuda.NarrowTo), thread, 4), word)
		a.i("ret")
	})
}

// bytesEntry prints the product of bytes: a thread an element of the result, four products an instruction.
func bytesEntry() string {
	return entry("bytes", "bytes computes c[m,n] = (a[m,4k] - zero) * b[4k,n] + bias of integers", cuda.BytesWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.BytesTotal))
		n, words := a.word32(cuda.BytesN), a.word32(cuda.BytesRowWords)
		column, row := a.set("r", "rem.u32", thread, n), a.set("r", "div.u32", thread, n)
		sum := a.startOfColumn(column)
		at := a.scaled(a.word(cuda.BytesA), a.set("r", "mul.lo.u32", row, words), 4)
		panel, lane := a.set("r", "shr.u32", column, "4"), a.set("r", "and.b32", column, "15")
		b := a.scaled(a.scaled(a.word(cuda.BytesW), a.set("r", "mul.lo.u32", panel, words), 64), lane, 4)
		a.forStep("0", words, 1, func(string) {
			x, y := a.set("r", "ld.global.u32", "["+at+"]"), a.set("r", "ld.global.u32", "["+b+"]")
			a.i("dp4a.u32.s32 %s, %s, %s, %s", sum, x, y, sum)
			a.i("add.s64 %s, %s, 4", at, at)
			a.i("add.s64 %s, %s, 64", b, b)
		})
		a.storeInteger(cuda.BytesC, thread, sum, cuda.BytesIntegers)
		a.i("ret")
	})
}

// integersEntry prints the product of two operands that hold bytes: a thread an element of the result.
func integersEntry() string {
	return entry("integers", "integers computes c = (a - za)(b - zb) of whole numbers, as integers", cuda.IntegersWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.IntegersTotal))
		m, n, k := a.word32(cuda.IntegersM), a.word32(cuda.IntegersN), a.word32(cuda.IntegersK)
		column, rest := a.set("r", "rem.u32", thread, n), a.set("r", "div.u32", thread, n)
		row := a.set("l", "cvt.u64.u32", a.set("r", "rem.u32", rest, m))
		a.i("div.u32 %s, %s, %s", rest, rest, m)
		x, y := a.word(cuda.IntegersA), a.word(cuda.IntegersB)
		for i := 2; i >= 0; i-- {
			dim := a.word32(cuda.IntegersBatch + i)
			c := a.set("l", "cvt.u64.u32", a.set("r", "rem.u32", rest, dim))
			a.i("div.u32 %s, %s, %s", rest, rest, dim)
			a.i("mad.lo.s64 %s, %s, %s, %s", x, c, a.word(cuda.IntegersSA+i), x)
			a.i("mad.lo.s64 %s, %s, %s, %s", y, c, a.word(cuda.IntegersSB+i), y)
		}
		x = a.set("l", "mad.lo.s64", row, a.set("l", "mul.wide.u32", k, "4"), x)
		y = a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", column), a.word(cuda.IntegersBN), y)
		zx, zy, step, sum := a.zeroPoint(cuda.IntegersZeroA), a.zeroPoint(cuda.IntegersZeroB), a.word(cuda.IntegersBK), a.set("r", "mov.u32", "0")
		a.forStep("0", k, 1, func(string) {
			p := a.set("r", "sub.u32", a.set("r", "cvt.rni.s32.f32", a.set("f", "ld.global.f32", "["+x+"]")), zx)
			q := a.set("r", "sub.u32", a.set("r", "cvt.rni.s32.f32", a.set("f", "ld.global.f32", "["+y+"]")), zy)
			a.i("mad.lo.u32 %s, %s, %s, %s", sum, p, q, sum)
			a.i("add.s64 %s, %s, 4", x, x)
			a.i("add.s64 %s, %s, %s", y, y, step)
		})
		a.storeInteger(cuda.IntegersC, thread, sum, cuda.IntegersWhole)
		a.i("ret")
	})
}

// zeroPoint reads the whole number at an address of the parameter; 0 where there is none.
func (a *asm) zeroPoint(at int) string {
	zero, z := a.word(at), a.set("r", "mov.u32", "0")
	none := a.fresh("nozero")
	p := a.set("p", "setp.eq.s64", zero, "0")
	a.i("@%s bra %s", p, none)
	a.i("cvt.rni.s32.f32 %s, %s", z, a.set("f", "ld.global.f32", "["+zero+"]"))
	a.label(none)
	return z
}

// storeInteger stores element i of the result, as f32 unless the parameter's word wants integers.
func (a *asm) storeInteger(to int, i, x string, integers int) {
	f := a.set("f", "cvt.rn.f32.s64", a.set("l", "cvt.s64.s32", x))
	whole := a.set("p", "setp.ne.u32", a.word32(integers), "0")
	a.i("st.global.u32 [%s], %s", a.scaled(a.word(to), i, 4), a.set("r", "selp.b32", x, a.set("r", "mov.b32", f), whole))
}

// startOfColumn is what a column's products are added to: (lo - zero) times the sum of its weights, and the bias.
func (a *asm) startOfColumn(column string) string {
	less := a.set("r", "sub.u32", a.word32(cuda.BytesLo), a.zeroPoint(cuda.BytesZero))
	sum := a.set("r", "mul.lo.u32", less, a.set("r", "ld.global.u32", fmt.Sprintf("[%s]", a.scaled(a.word(cuda.BytesSums), column, 4))))
	bias, end := a.word(cuda.BytesBias), a.fresh("nobias")
	q := a.set("p", "setp.eq.s64", bias, "0")
	a.i("@%s bra %s", q, end)
	a.i("add.u32 %s, %s, %s", sum, sum, a.set("r", "ld.global.u32", "["+a.scaled(bias, column, 4)+"]"))
	a.label(end)
	return sum
}
