package rt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

// Value is a tensor read from a file: raw little-endian elements.
type Value struct {
	Name  string
	Elem  Elem
	Shape []int
	Data  []byte
	Text  []string // the elements of a tensor of strings, which has no Data
}

// maxFile is the most bytes of a tensor's file.
const maxFile = 1 << 32

// ReadFile reads a tensor from a .npy file or a TensorProto (.pb).
func ReadFile(path string) (*Value, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a regular file of at most 4 GiB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := readTensorProto
	if len(data) >= 6 && string(data[:6]) == "\x93NUMPY" {
		read = readNpy
	}
	v, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

var errProto = errors.New("not a TensorProto: malformed protobuf")

// readTensorProto reads the fields of TensorProto that test data uses: dims 1, data_type 2, float_data 4, int32_data 5,
// string_data 6, int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11.
func readTensorProto(data []byte) (*Value, error) {
	v := &Value{Elem: 255}
	var raw []byte
	var words []uint64
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errProto
		}
		data = data[n:]
		num, body, rest, err := wireField(data, tag&7)
		if err != nil {
			return nil, err
		}
		data = rest
		switch field := tag >> 3; field {
		case 1:
			for _, d := range packed(num, body, tag&7, 0) {
				v.Shape = append(v.Shape, int(d))
			}
		case 2:
			v.Elem = elemFromONNX(int(num))
		case 8:
			v.Name = string(body)
		case 6:
			v.Text = append(v.Text, string(body))
		case 9:
			raw = body
		case 4:
			words = append(words, packed(num, body, tag&7, 4)...)
		case 10:
			words = append(words, packed(num, body, tag&7, 8)...)
		case 5, 7, 11:
			words = append(words, packed(num, body, tag&7, 0)...)
		}
	}
	return v, v.fill(raw, words)
}

func elemFromONNX(n int) Elem {
	for e, info := range elemInfo {
		if info.onnx == n {
			return Elem(e)
		}
	}
	return 255
}

func wireField(data []byte, wire uint64) (num uint64, body, rest []byte, err error) {
	size := 0
	switch wire {
	case 0:
		num, n := binary.Uvarint(data)
		if n <= 0 {
			return 0, nil, nil, errProto
		}
		return num, nil, data[n:], nil
	case 1:
		size = 8
	case 5:
		size = 4
	case 2:
		n, k := binary.Uvarint(data)
		if k <= 0 || n > uint64(len(data)-k) {
			return 0, nil, nil, errProto
		}
		data, size = data[k:], int(n)
	default:
		return 0, nil, nil, errProto
	}
	if size > len(data) {
		return 0, nil, nil, errProto
	}
	return 0, data[:size], data[size:], nil
}

// packed gives the numbers of a repeated field, packed or not; width 0 is for varints.
func packed(num uint64, body []byte, wire uint64, width int) []uint64 {
	var out []uint64
	switch {
	case wire == 0:
		return []uint64{num}
	case width == 4:
		for ; len(body) >= 4; body = body[4:] {
			out = append(out, uint64(binary.LittleEndian.Uint32(body)))
		}
	case width == 8:
		for ; len(body) >= 8; body = body[8:] {
			out = append(out, binary.LittleEndian.Uint64(body))
		}
	default:
		for len(body) > 0 {
			x, n := binary.Uvarint(body)
			if n <= 0 {
				break
			}
			out, body = append(out, x), body[n:]
		}
	}
	return out
}

func (v *Value) fill(raw []byte, words []uint64) error {
	if int(v.Elem) >= len(elemInfo) {
		return errors.New("the element type is not one this program reads")
	}
	n, err := checkedLen(v.Shape)
	if err != nil {
		return err
	}
	if v.Elem == STRING {
		if len(v.Text) != n {
			return fmt.Errorf("%d strings for shape %v", len(v.Text), v.Shape)
		}
		return nil
	}
	size := v.Elem.Size()
	if bits := v.Elem.bits(); bits < 8 {
		return v.unpack(raw, words, bits, n)
	}
	if raw == nil && len(words) > 0 || len(words) == n && n > 0 {
		if len(words) != n {
			return fmt.Errorf("%d elements for shape %v", len(words), v.Shape)
		}
		raw = make([]byte, 0, n*size)
		for _, w := range words {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], w)
			raw = append(raw, b[:size]...)
		}
	}
	if len(raw) != n*size {
		return fmt.Errorf("%d bytes for %v%v", len(raw), v.Elem, v.Shape)
	}
	v.Data = raw
	return nil
}

// unpack gives elements of two or four bits a byte each; the lowest bits of a byte come first.
func (v *Value) unpack(raw []byte, words []uint64, bits, n int) error {
	if raw == nil {
		for _, w := range words {
			raw = append(raw, byte(w))
		}
	}
	per := 8 / bits
	if len(raw) != (n+per-1)/per {
		return fmt.Errorf("%d bytes for %v%v", len(raw), v.Elem, v.Shape)
	}
	v.Data = make([]byte, n)
	for i := range v.Data {
		x := raw[i/per] >> (i % per * bits) & byte(1<<bits-1)
		if shift := 8 - bits; v.Elem == I4 || v.Elem == I2 {
			x = byte(int8(x<<shift) >> shift)
		}
		v.Data[i] = x
	}
	return nil
}

func checkedLen(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > maxFile/d {
			return 0, fmt.Errorf("shape %v", shape)
		}
		n *= d
	}
	return n, nil
}

// At reads element i as f64.
func (v *Value) At(i int) float64 {
	b := v.Data[i*v.Elem.Size():]
	switch v.Elem {
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case I64:
		return float64(int64(binary.LittleEndian.Uint64(b)))
	case U64:
		return float64(binary.LittleEndian.Uint64(b))
	case I32:
		return float64(int32(binary.LittleEndian.Uint32(b)))
	case U32:
		return float64(binary.LittleEndian.Uint32(b))
	case I16:
		return float64(int16(binary.LittleEndian.Uint16(b)))
	case U16:
		return float64(binary.LittleEndian.Uint16(b))
	case I8, I4, I2:
		return float64(int8(b[0]))
	case F16:
		return float64(F16ToF32(binary.LittleEndian.Uint16(b)))
	case BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	}
	if v.Elem >= F8E4M3FN && v.Elem <= F4E2M1 && (b[0] == 0x80 || v.Elem == F4E2M1 && b[0] == 8) && v.Elem != F8E4M3FNUZ && v.Elem != F8E5M2FNUZ && v.Elem != F8E8M0 {
		return 0 // negative zero
	}
	return float64(b[0])
}
