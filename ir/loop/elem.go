package loop

import "fmt"

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
)

var elems = []struct {
	name, goType string
	size         int64
}{
	{"invalid", "", 0}, {"f32", "float32", 4}, {"f64", "float64", 8}, {"f16", "uint16", 2}, {"bf16", "uint16", 2},
	{"i8", "int8", 1}, {"u8", "uint8", 1}, {"i16", "int16", 2}, {"u16", "uint16", 2}, {"i32", "int32", 4},
	{"u32", "uint32", 4}, {"i64", "int64", 8}, {"u64", "uint64", 8}, {"bool", "bool", 1},
}

// String is the short name used in the text form, such as f32.
func (e Elem) String() string { return elems[e].name }

// Size is the number of bytes of an element.
func (e Elem) Size() int64 { return elems[e].size }

// GoType is the Go type that holds an element.
func (e Elem) GoType() string { return elems[e].goType }

// Float reports whether e is a floating-point type.
func (e Elem) Float() bool { return e >= F32 && e <= BF16 }

// Integer reports whether e is an integer type; Bool is not.
func (e Elem) Integer() bool { return e >= I8 && e <= U64 }

// ParseElem reads the short name.
func ParseElem(name string) (Elem, error) {
	for i, e := range elems {
		if i > 0 && e.name == name {
			return Elem(i), nil
		}
	}
	return Invalid, fmt.Errorf("unknown element type %q", name)
}
