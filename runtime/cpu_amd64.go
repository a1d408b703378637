package rt

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func xgetbv() (lo uint32)

// HasAVX2, HasAVX512 and HasVNNI report what the CPU and the operating system offer together: AVX2 with FMA and F16C; AVX-512 F, BW, DQ and VL;
// AVX512_VNNI. GODEBUG=cpu.avx2=off, cpu.avx512f=off (or cpu.avx512=off) and cpu.avx512vnni=off switch them off, as for the Go runtime's own
// features.
var HasAVX2, HasAVX512, HasVNNI = detect()

func detect() (avx2, avx512, vnni bool) {
	top, _, _, _ := cpuid(0, 0)
	_, _, c1, _ := cpuid(1, 0)
	const fma, osxsave, avx, f16c = 1 << 12, 1 << 27, 1 << 28, 1 << 29
	if top < 7 || c1&fma == 0 || c1&f16c == 0 || c1&osxsave == 0 || c1&avx == 0 || xgetbv()&6 != 6 {
		return false, false, false
	}
	_, b7, c7, _ := cpuid(7, 0)
	const f, dq, bw, vl = 1 << 16, 1 << 17, 1 << 30, 1 << 31
	avx2 = b7&(1<<5) != 0 && !off("cpu.avx2") && !off("cpu.fma")
	avx512 = avx2 && b7&f != 0 && b7&dq != 0 && b7&bw != 0 && b7&vl != 0 && xgetbv()&0xe6 == 0xe6
	avx512 = avx512 && !off("cpu.avx512f") && !off("cpu.avx512")
	return avx2, avx512, avx512 && c7&(1<<11) != 0 && !off("cpu.avx512vnni")
}
