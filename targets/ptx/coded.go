package ptx

import "mmc/runtime/cuda"

// unpackEntry prints what makes f32 of coded weights, in panels of sixteen columns: a thread an element.
func unpackEntry() string {
	return entry("unpack", "unpack makes f32 of coded weights: (q - zero) * scale", cuda.UnpackWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.UnpackTotal))
		k, block := a.word32(cuda.UnpackK), a.word32(cuda.UnpackBlock)
		lane, row := a.set("r", "and.b32", thread, "15"), a.set("r", "shr.u32", thread, "4")
		panel, step := a.set("r", "div.u32", row, k), a.set("r", "rem.u32", row, k)
		from := a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", panel), a.word(cuda.UnpackPanel), a.word(cuda.UnpackFrom))
		from = a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", a.set("r", "div.u32", step, block)), a.word(cuda.UnpackSize), from)
		inside, shift := a.set("r", "rem.u32", step, block), a.word32(cuda.UnpackShift)
		zero := a.set("r", "ld.global.u8", "["+a.scaled(from, lane, 1)+"]")
		scale := a.set("f", "ld.global.f32", "["+a.scaled(from, lane, 4)+"+16]")
		line := a.scaled(from, a.set("r", "shr.u32", inside, shift), 16)
		q := a.set("r", "ld.global.u8", "["+a.scaled(line, lane, 1)+"+80]")
		q = a.set("r", "shr.u32", q, a.set("r", "mul.lo.u32", a.set("r", "and.b32", inside, shift), "4"))
		q = a.set("r", "sub.u32", a.set("r", "and.b32", q, a.word32(cuda.UnpackMask)), zero)
		x := a.set("f", "mul.rn.f32", a.set("f", "cvt.rn.f32.s64", a.set("l", "cvt.s64.s32", q)), scale)
		a.i("st.global.f32 [%s], %s", a.scaled(a.word(cuda.UnpackTo), thread, 4), x)
		a.i("ret")
	})
}

// unpackHalvesEntry is unpackEntry for weights of two bytes: f16, or upper halves of f32.
func unpackHalvesEntry(kind string) string {
	return entry("unpack_"+kind, "unpack_"+kind+" makes f32 of weights of "+kind, cuda.UnpackWords, threads, 0, func(a *asm) {
		thread := a.threadOf(a.word32(cuda.UnpackTotal))
		k := a.word32(cuda.UnpackK)
		lane, row := a.set("r", "and.b32", thread, "15"), a.set("r", "shr.u32", thread, "4")
		panel, step := a.set("r", "div.u32", row, k), a.set("r", "rem.u32", row, k)
		from := a.set("l", "mad.lo.s64", a.set("l", "cvt.u64.u32", panel), a.word(cuda.UnpackPanel), a.word(cuda.UnpackFrom))
		h := a.set("r", "ld.global.u16", "["+a.scaled(a.scaled(from, step, 32), lane, 2)+"]")
		x := h
		if kind == "bf16" {
			x = a.set("r", "shl.b32", h, "16")
		} else {
			x = a.f16Bits(h)
		}
		a.i("st.global.u32 [%s], %s", a.scaled(a.word(cuda.UnpackTo), thread, 4), x)
		a.i("ret")
	})
}

// f16Bits are the bits of an f16, which is finite, as f32: the exponent is moved by a product, which is exact and makes normal numbers of those that
// are not.
func (a *asm) f16Bits(h string) string {
	magnitude := a.set("r", "shl.b32", a.set("r", "and.b32", h, "0x7fff"), "13")
	x := a.set("f", "mul.rn.f32", a.set("f", "mov.b32", magnitude), "0f77800000") // 2^112
	sign := a.set("r", "shl.b32", a.set("r", "and.b32", h, "0x8000"), "16")
	return a.set("r", "add.u32", a.set("r", "mov.b32", x), sign)
}
