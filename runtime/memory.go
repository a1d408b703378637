package rt

import "unsafe"

const (
	smallPage = 1 << 12
	hugePage  = 1 << 21
)

// copyLanes copies sixteen elements of four bytes: an array of more than sixteen bytes would be copied by a call.
func copyLanes(to, from Ptr) {
	copyFour(to, from)
	copyFour(At(to, 16), At(from, 16))
	copyFour(At(to, 32), At(from, 32))
	copyFour(At(to, 48), At(from, 48))
}

// copyFour copies four such elements.
func copyFour(to, from Ptr) { *(*[4]uint32)(to) = *(*[4]uint32)(from) }

// reserve allocates zeroed memory aligned to 64 bytes. It holds no pointers, so the collector does not scan it, and slices of
// it keep it alive. Where the system allows, its inside is marked for huge pages.
func reserve(n int) []byte {
	b := make([]byte, n+64)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	if n >= 2*hugePage {
		head := int(-uintptr(unsafe.Pointer(&b[0])) & (hugePage - 1))
		adviseHuge(b[head : head+(len(b)-head)/hugePage*hugePage])
	}
	for i := 0; i < len(b); i += smallPage {
		b[i] = 0 // here, where the collector can come between two page faults, rather than in a kernel
	}
	return b[skip : skip+n]
}
