// Package plain holds the operators that are rare or follow their data: whole tensors in, whole tensors out, in plain Go on one core.
// The reference evaluator and compiled programs call the same functions; what they mean is held against ONNX's own cases. It must not
// know graphs or programs.
package plain

import (
	"fmt"
	"unsafe"
)

// Elem is an element type, numbered as in the runtime.
type Elem uint8

const (
	F32 Elem = iota
	F64
	F16
	BF16
	I8
	U8
	I16
	U16
	I32
	U32
	I64
	U64
	BOOL
	F8E4M3FN
	F8E4M3FNUZ
	F8E5M2
	F8E5M2FNUZ
	F8E8M0
	F4E2M1
	I4
	U4
	I2
	U2
	STRING
)

// sizes are in bytes; the types that are not listed have one.
var sizes = [STRING + 1]int{F32: 4, F64: 8, F16: 2, BF16: 2, I16: 2, U16: 2, I32: 4, U32: 4, I64: 8, U64: 8, STRING: 8}

// Size is the number of bytes of an element.
func (e Elem) Size() int { return max(sizes[e], 1) }

// Tensor is a dense row-major tensor; P is nil if an optional input is absent.
type Tensor struct {
	Elem Elem
	Rank int
	Dims [8]int
	P    unsafe.Pointer
}

// Shape are the sizes of the axes.
func (t *Tensor) Shape() []int { return t.Dims[:t.Rank] }

// Len is the number of elements.
func (t *Tensor) Len() int { return product(t.Shape()) }

// Args are the operands of one call. Which Ints and Floats there are is each function's own. Words is the run's table of strings; nil
// where there is none.
type Args struct {
	In     [8]Tensor
	Out    [4]Tensor
	Ints   [24]int
	Floats [8]float64
	Words  *Words
}

// Func is an operator: its result is how many entries it wrote, where that follows the data, else 0.
type Func func(a *Args) (int, error)

// Number are the Go types of elements.
type Number interface {
	~float32 | ~float64 | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64
}

// data views the elements of t, whose Go type is T.
func data[T Number](t *Tensor) []T {
	if t.P == nil {
		return nil
	}
	return unsafe.Slice((*T)(t.P), t.Len())
}

func raw(t *Tensor) []byte { return unsafe.Slice((*byte)(t.P), t.Len()*t.Elem.Size()) }

// index is element i of an integer tensor as an index into an axis of n entries; negative ones count from the end.
func index(t *Tensor, i, n int) (int, error) {
	k := integer(t, i)
	if k < -n || k >= n {
		return 0, fmt.Errorf("index %d is outside the axis of size %d", k, n)
	}
	if k < 0 {
		k += n
	}
	return k, nil
}

func integer(t *Tensor, i int) int {
	switch t.Elem {
	case I32:
		return int(data[int32](t)[i])
	case I8:
		return int(data[int8](t)[i])
	case U8, BOOL:
		return int(data[uint8](t)[i])
	}
	return int(data[int64](t)[i])
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// next moves an index to the next place of a box, last axis fastest; it is false after the last.
func next(idx, shape []int) bool {
	for a := len(shape) - 1; a >= 0; a-- {
		if idx[a]++; idx[a] < shape[a] {
			return true
		}
		idx[a] = 0
	}
	return false
}
