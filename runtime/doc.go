// Package rt is the runtime of emitted modules, which carry a copy of it. It imports the standard library only and nothing of
// the compiler's; it must not know ONNX operators, graphs or any model.
//
// A [Session] runs one inference: it owns an arena and a place in the [Team] of worker goroutines. The drivers here (Linear,
// MatMul, Attention, Rows, moves) cut the work into tasks of bounded size and call kernels through function values, so that
// every kernel call is behind a Go function with a stack check. Every result element is computed by one task in one fixed
// order: the bits do not depend on the number of threads, on the batch or on which kernels the CPU allows.
package rt
