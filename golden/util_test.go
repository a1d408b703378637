package golden

import (
	"encoding/binary"
	"math"
)

func appendF32(b []byte, x float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
}

func appendI64(b []byte, x int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(x)) }
