// Package purego emits kernels in plain Go: they run everywhere and are the oracle of the other targets. It must not know
// graphs or operators.
package purego
