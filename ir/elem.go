package ir

import "mmc/ir/loop"

// onnxElems are the numbers of TensorProto.DataType.
var onnxElems = map[int64]loop.Elem{1: loop.F32, 2: loop.U8, 3: loop.I8, 4: loop.U16, 5: loop.I16, 6: loop.I32, 7: loop.I64,
	9: loop.Bool, 10: loop.F16, 11: loop.F64, 12: loop.U32, 13: loop.U64, 16: loop.BF16}

var onnxElemNames = map[int64]string{8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
	19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2"}

// ElemFromONNX maps a TensorProto.DataType; types that no kernel handles are not supported.
func ElemFromONNX(n int64) (loop.Elem, error) {
	if e, ok := onnxElems[n]; ok {
		return e, nil
	}
	if name, ok := onnxElemNames[n]; ok {
		return loop.Invalid, NotSupported("element type %s", name)
	}
	return loop.Invalid, NotSupported("element type number %d", n)
}
