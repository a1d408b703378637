//go:build !amd64

package rt

// HasAVX2, HasAVX512 and HasVNNI are features of another architecture.
const HasAVX2, HasAVX512, HasVNNI = false, false, false
