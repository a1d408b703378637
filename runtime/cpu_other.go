//go:build !amd64

package rt

// HasAVX2 and HasAVX512 are features of another architecture.
const HasAVX2, HasAVX512 = false, false
