package rt

import (
	"encoding/binary"
	"os"
	"runtime"
)

// HasDotProd reports FEAT_DotProd: what Linux tells the program of its CPU, or Apple's CPUs, which all have it. GODEBUG=cpu.asimddp=off
// switches it off.
var HasDotProd = (runtime.GOOS == "darwin" || hardware()&(1<<20) != 0) && !off("cpu.asimddp")

// hardware is AT_HWCAP of the auxiliary vector (elf.h, asm/hwcap.h of Linux), or 0.
func hardware() uint64 {
	const hwcap = 16
	aux, _ := os.ReadFile("/proc/self/auxv")
	for ; len(aux) >= 16; aux = aux[16:] {
		if binary.LittleEndian.Uint64(aux) == hwcap {
			return binary.LittleEndian.Uint64(aux[8:])
		}
	}
	return 0
}
