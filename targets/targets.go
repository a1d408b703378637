// Package targets lists the instruction sets. It must not know how any of them makes its kernels.
package targets

import (
	"mmc/codegen"
	"mmc/targets/amd64"
	"mmc/targets/arm64"
	"mmc/targets/ptx"
	"mmc/targets/purego"
)

// For is the targets of a GOARCH: plain Go, which everything falls back on, then the others, best first.
func For(goarch string) []codegen.Target {
	list := []codegen.Target{purego.New()}
	switch goarch {
	case "amd64":
		list = append(list, amd64.AVX512(), amd64.AVX2())
	case "arm64":
		list = append(list, arm64.NEON())
	}
	return list
}

// Accelerator is the accelerator of a name, as in linux/amd64+cuda, with products in a dtype, or nil.
func Accelerator(name, dtype string) *codegen.Accelerator {
	if name == "cuda" {
		return ptx.CUDA(dtype)
	}
	return nil
}

// Names is every --isa there is.
func Names() []string { return []string{"purego", "avx2", "avx512", "neon", "cuda"} }
