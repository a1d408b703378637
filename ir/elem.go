package ir

import "mmc/ir/loop"

// onnxElems are the numbers of TensorProto.DataType.
var onnxElems = map[int64]loop.Elem{1: loop.F32, 2: loop.U8, 3: loop.I8, 4: loop.U16, 5: loop.I16, 6: loop.I32, 7: loop.I64,
	9: loop.Bool, 10: loop.F16, 11: loop.F64, 12: loop.U32, 13: loop.U64, 16: loop.BF16,
	17: loop.F8E4M3FN, 18: loop.F8E4M3FNUZ, 19: loop.F8E5M2, 20: loop.F8E5M2FNUZ, 21: loop.U4, 22: loop.I4, 23: loop.F4E2M1, 24: loop.F8E8M0,
	25: loop.U2, 26: loop.I2, 8: loop.String}

var onnxElemNames = map[int64]string{14: "complex64", 15: "complex128"}

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
