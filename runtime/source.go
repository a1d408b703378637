package rt

import "embed"

// Source is this package's own source, which the compiler copies into emitted modules.
//
//go:embed *.go *.s arith/arith.go arith/small.go plain/*.go
var Source embed.FS

// CUDA is the source of the packages that reach a GPU, which go into the modules that use one.
//
//go:embed cuda/*.go cuda/libcuda/*.go
var CUDA embed.FS
