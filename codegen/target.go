package codegen

import (
	"slices"
	"strings"
	"unsafe"

	"mmc/ir/loop"
	"mmc/runtime"
)

// What walk kernels know of rt.Walk: offsets in bytes, and the places done at once.
const (
	WalkPlaces = 8
	WalkIn     = 16
	WalkOut    = 24
	WalkPtrs   = 32
	WalkStep   = rt.WalkStep
)

// Codings is how many ways there are to write weights in fewer bits; rt.Coding numbers them.
const Codings = rt.Codings

// PtrsSize is how far the buffers of two rows that are worked on in turns are apart in rt.Turn, in bytes.
const PtrsSize = int(unsafe.Sizeof(rt.Ptrs{}))

// File is one emitted file, with a slash-separated path below the module.
type File struct {
	Path string
	Data []byte
}

// Target makes kernels for one instruction set.
type Target interface {
	ISA() string  // as in --isa: purego, avx2, avx512, neon
	Arch() string // GOARCH, or "" for every one
	// Emit makes the row kernels, named row0, row1, …, the walk kernels, walk0, walk1, …, and the tile kernels.
	Emit(Wanted) (*Unit, error)
}

// Wanted are the kernels that a program needs; tile kernels of f32 are always made.
type Wanted struct {
	Rows, Walks []*loop.Kernel
	Bytes       bool          // the tile kernels of rt.Bytes
	Coded       [Codings]bool // the kernels for a way to write weights
}

func (p *Plan) wanted() Wanted {
	bytes := slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Method == "Bytes" || c.Method == "ByteConv" || c.Method == "ByteMatMul" })
	var coded [Codings]bool
	for _, c := range p.Consts {
		if c.Pack == CodedPanels {
			coded[c.Form.Coding()] = true
		}
	}
	return Wanted{p.Kernels, p.Walks, bytes, coded}
}

// CodedField is the field of rt.Gemm that says which kernels of coded weights there are, after others; list has an entry of rt.CodedKernels for
// each way that is wanted.
func CodedField(list []string) string {
	if list == nil {
		return ""
	}
	return ", Coded: [rt.Codings]rt.CodedKernels{" + strings.Join(list, ", ") + "}"
}

// Unit is what a target gives: files and the Go expressions that name its kernels.
type Unit struct {
	Files []File
	Rows  []string // function of each row kernel; empty where the target refuses and plain Go takes over
	Turns []string // the form of each row kernel for Turn rows; empty where there is none
	Turn  int
	Walks []string // of each walk kernel, as for row kernels
	Gemm  string   // expression of type rt.Gemm
	Need  string   // expression of type bool: the CPU has what the kernels require
}
