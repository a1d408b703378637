package ir

import (
	"fmt"
	"math"
	"unsafe"

	"mmc/ir/loop"
)

// Limits of one tensor; beyond them a model is refused.
const (
	MaxRank     = 8
	MaxElements = 1 << 40
)

// Tensor is a dense row-major tensor. Data holds little-endian elements and may alias a mapped file: treat it as read-only.
type Tensor struct {
	Elem  loop.Elem
	Shape []int64
	Data  []byte
	Coded *Coded // of a matrix of f32: the same numbers in fewer bits, or nil
}

// Coded is a matrix [k, n] as numbers Q [k, n] of Bits bits, 4 or 8, each of which stands for (q - zero) scale: Zeros and Scales are
// [ceil(k/Block), n]. The product is rounded once.
type Coded struct {
	Bits, Block int64
	Q, Zeros    []uint8
	Scales      []float32
}

// Numeric are the Go types that hold tensor elements.
type Numeric interface {
	~float32 | ~float64 | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64
}

// NewTensor makes a zero tensor.
func NewTensor(e loop.Elem, shape ...int64) *Tensor {
	n := NumElements(shape) * e.Size()
	words := make([]uint64, (n+7)/8+1)
	return &Tensor{Elem: e, Shape: append([]int64{}, shape...), Data: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)}
}

// NumElements is the product of the sizes.
func NumElements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// Len is the number of elements.
func (t *Tensor) Len() int { return int(NumElements(t.Shape)) }

// Slice views the data of t as elements of type T, which must have the size of t.Elem: it panics if t has less data than that.
func Slice[T Numeric](t *Tensor) []T {
	n := t.Len()
	if n == 0 {
		return nil
	}
	var one T
	if size := int(unsafe.Sizeof(one)); len(t.Data)/size < n {
		panic(fmt.Sprintf("%v%v has %d bytes, read as elements of %d", t.Elem, t.Shape, len(t.Data), size))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.Data))), n)
}

// Floats makes an f32 tensor.
func Floats(v []float32, shape ...int64) *Tensor {
	t := NewTensor(loop.F32, shape...)
	copy(Slice[float32](t), v)
	return t
}

// Ints makes an i64 tensor.
func Ints(v []int64, shape ...int64) *Tensor {
	t := NewTensor(loop.I64, shape...)
	copy(Slice[int64](t), v)
	return t
}

// At reads element i as a scalar.
func (t *Tensor) At(i int) loop.Scalar {
	switch t.Elem {
	case loop.F32:
		return loop.Scalar{F: float64(Slice[float32](t)[i])}
	case loop.F64:
		return loop.Scalar{F: Slice[float64](t)[i]}
	case loop.F16:
		return loop.Scalar{F: float64(HalfToFloat(Slice[uint16](t)[i]))}
	case loop.BF16:
		return loop.Scalar{F: float64(math.Float32frombits(uint32(Slice[uint16](t)[i]) << 16))}
	case loop.I8, loop.I4, loop.I2:
		return loop.Scalar{I: int64(Slice[int8](t)[i])}
	case loop.U8, loop.U4, loop.U2:
		return loop.Scalar{I: int64(t.Data[i])}
	case loop.Bool:
		if t.Data[i] != 0 {
			return loop.Scalar{I: 1}
		}
		return loop.Scalar{}
	case loop.I16:
		return loop.Scalar{I: int64(Slice[int16](t)[i])}
	case loop.U16:
		return loop.Scalar{I: int64(Slice[uint16](t)[i])}
	case loop.I32:
		return loop.Scalar{I: int64(Slice[int32](t)[i])}
	case loop.U32:
		return loop.Scalar{I: int64(Slice[uint32](t)[i])}
	}
	if f, ok := loop.Small[t.Elem]; ok {
		return loop.Scalar{F: float64(f.Decode(t.Data[i]))}
	}
	return loop.Scalar{I: Slice[int64](t)[i]}
}

// Set writes element i.
func (t *Tensor) Set(i int, s loop.Scalar) {
	switch t.Elem {
	case loop.F32:
		Slice[float32](t)[i] = float32(s.F)
	case loop.F64:
		Slice[float64](t)[i] = s.F
	case loop.F16:
		Slice[uint16](t)[i] = FloatToHalf(float32(s.F))
	case loop.BF16:
		Slice[uint16](t)[i] = FloatToBrain(float32(s.F))
	case loop.I8, loop.U8, loop.Bool, loop.I4, loop.U4, loop.I2, loop.U2:
		t.Data[i] = byte(s.I)
	case loop.I16, loop.U16:
		Slice[uint16](t)[i] = uint16(s.I)
	case loop.I32, loop.U32:
		Slice[uint32](t)[i] = uint32(s.I)
	case loop.F8E4M3FN, loop.F8E4M3FNUZ, loop.F8E5M2, loop.F8E5M2FNUZ, loop.F8E8M0, loop.F4E2M1:
		t.Data[i] = loop.Small[t.Elem].Encode(float32(s.F))
	default:
		Slice[int64](t)[i] = s.I
	}
}

// HalfToFloat widens an IEEE 754 binary16.
func HalfToFloat(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 255<<23 | man<<13)
	case exp == 0:
		f := float32(man) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// FloatToHalf rounds to the nearest binary16, ties to even.
func FloatToHalf(f float32) uint16 {
	u := math.Float32bits(f)
	sign := uint16(u >> 16 & 0x8000)
	u &= 0x7fffffff
	switch {
	case u > 0x7f800000:
		return sign | 0x7e00
	case u >= 0x477ff000:
		return sign | 0x7c00
	case u < 0x38800000: // below the smallest normal: let the f32 adder round at 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(u)+0.5)-0x3f000000)
	}
	u += 0xfff + u>>13&1
	return sign | uint16((u-0x38000000)>>13)
}

// FloatToBrain rounds to the nearest bfloat16, ties to even.
func FloatToBrain(f float32) uint16 {
	u := math.Float32bits(f)
	if f != f {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// String is a short description: element type and shape.
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.Elem, t.Shape) }
