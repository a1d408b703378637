package rt

import "unsafe"

const hugePage = 1 << 21

// reserve allocates zeroed memory aligned to 64 bytes. It holds no pointers, so the collector does not scan it, and slices of
// it keep it alive. Where the system allows, its inside is marked for huge pages.
func reserve(n int) []byte {
	b := make([]byte, n+64)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	if n >= 2*hugePage {
		head := int(-uintptr(unsafe.Pointer(&b[0])) & (hugePage - 1))
		adviseHuge(b[head : head+(len(b)-head)/hugePage*hugePage])
	}
	return b[skip : skip+n]
}
