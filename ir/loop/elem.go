package loop

import (
	"fmt"

	"mmc/runtime/arith"
)

// Elem is an element type. The numbers are positions in the table below, not ONNX's.
type Elem uint8

const (
	Invalid Elem = iota
	F32
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
	Bool
	F8E4M3FN // the types from here on are stored one element a byte; no kernel computes in them
	F8E4M3FNUZ
	F8E5M2
	F8E5M2FNUZ
	F8E8M0
	F4E2M1
	I4
	U4
	I2
	U2
	String // numbers of strings in the program's table; kernels only move and compare them
)

var elems = []struct {
	name, goType string
	size         int64
}{
	{"invalid", "", 0}, {"f32", "float32", 4}, {"f64", "float64", 8}, {"f16", "uint16", 2}, {"bf16", "uint16", 2},
	{"i8", "int8", 1}, {"u8", "uint8", 1}, {"i16", "int16", 2}, {"u16", "uint16", 2}, {"i32", "int32", 4},
	{"u32", "uint32", 4}, {"i64", "int64", 8}, {"u64", "uint64", 8}, {"bool", "bool", 1},
	{"f8e4m3fn", "uint8", 1}, {"f8e4m3fnuz", "uint8", 1}, {"f8e5m2", "uint8", 1}, {"f8e5m2fnuz", "uint8", 1}, {"f8e8m0", "uint8", 1},
	{"f4e2m1", "uint8", 1}, {"i4", "int8", 1}, {"u4", "uint8", 1}, {"i2", "int8", 1}, {"u2", "uint8", 1},
	{"string", "uint64", 8},
}

// String is the short name used in the text form, such as f32.
func (e Elem) String() string { return elems[e].name }

// Size is the number of bytes of an element.
func (e Elem) Size() int64 { return elems[e].size }

// GoType is the Go type that holds an element.
func (e Elem) GoType() string { return elems[e].goType }

// Float reports whether e is a floating-point type.
func (e Elem) Float() bool { return e >= F32 && e <= BF16 || e >= F8E4M3FN && e <= F4E2M1 }

// Integer reports whether e is an integer type; Bool is not.
func (e Elem) Integer() bool { return e >= I8 && e <= U64 || e >= I4 && e <= U2 }

// Bits is the size of an element in files.
func (e Elem) Bits() int64 {
	switch e {
	case F4E2M1, I4, U4:
		return 4
	case I2, U2:
		return 2
	}
	return 8 * e.Size()
}

// Stored reports whether e is only a way to store numbers: values are widened before anything is computed from them.
func (e Elem) Stored() bool { return e == F16 || e == BF16 || e >= F8E4M3FN && e <= U2 }

// Small are the conversions of floats of eight bits or fewer.
var Small = map[Elem]struct {
	Decode func(uint8) float32
	Encode func(float32) uint8
}{
	F8E4M3FN: {arith.F8E4M3FNToF32, arith.F32ToF8E4M3FN}, F8E4M3FNUZ: {arith.F8E4M3FNUZToF32, arith.F32ToF8E4M3FNUZ},
	F8E5M2: {arith.F8E5M2ToF32, arith.F32ToF8E5M2}, F8E5M2FNUZ: {arith.F8E5M2FNUZToF32, arith.F32ToF8E5M2FNUZ},
	F8E8M0: {arith.F8E8M0ToF32, arith.F32ToF8E8M0}, F4E2M1: {arith.F4E2M1ToF32, arith.F32ToF4E2M1},
}

// ParseElem reads the short name.
func ParseElem(name string) (Elem, error) {
	for i, e := range elems {
		if i > 0 && e.name == name {
			return Elem(i), nil
		}
	}
	return Invalid, fmt.Errorf("unknown element type %q", name)
}
