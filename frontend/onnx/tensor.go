package onnx

import (
	"fmt"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
)

// tensor decodes a TensorProto; raw and external data alias their file.
func (e *external) tensor(p *onnxpb.TensorProto) (*ir.Tensor, error) {
	elem, err := ir.ElemFromONNX(int64(p.DataType))
	if err != nil {
		return nil, err
	}
	size, err := byteSize(p.Dims, elem)
	if err != nil {
		return nil, err
	}
	t := &ir.Tensor{Elem: elem, Shape: append([]int64{}, p.Dims...)}
	switch {
	case elem == loop.String:
		return e.strings(p)
	case p.DataLocation == 1:
		if e == nil {
			return nil, fmt.Errorf("external data is not allowed here")
		}
		t.Data, err = e.data(p.ExternalData, size)
		return t, err
	case p.DataLocation != 0:
		return nil, fmt.Errorf("data location %d", p.DataLocation)
	case elem.Bits() < 8:
		t.Data, err = unpacked(p, elem)
		return t, err
	case len(p.RawData) > 0:
		if int64(len(p.RawData)) != size {
			return nil, fmt.Errorf("%d bytes of raw data for %v, want %d", len(p.RawData), t, size)
		}
		t.Data = p.RawData[:size:size]
		return t, boolsOnly(t)
	}
	return typedTensor(p, elem)
}

// strings reads a tensor of strings, whose numbers in the model's table are its elements.
func (e *external) strings(p *onnxpb.TensorProto) (*ir.Tensor, error) {
	if e == nil {
		return nil, ir.NotSupported("strings here")
	}
	if n := ir.NumElements(p.Dims); int64(len(p.StringData)) != n {
		return nil, fmt.Errorf("%d strings for shape %v", len(p.StringData), p.Dims)
	}
	t := ir.NewTensor(loop.String, p.Dims...)
	for i, s := range p.StringData {
		t.Set(i, loop.Scalar{I: int64(e.words.Number(string(s)))})
	}
	return t, nil
}

func byteSize(dims []int64, elem loop.Elem) (int64, error) {
	if len(dims) > ir.MaxRank {
		return 0, fmt.Errorf("rank %d is beyond the limit of %d", len(dims), ir.MaxRank)
	}
	n := int64(1)
	for a, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("axis %d has size %d", a, d)
		}
		if d > ir.MaxElements || d > 0 && n > ir.MaxElements/d {
			return 0, fmt.Errorf("shape %v is beyond the limit of 2^40 elements", dims)
		}
		n *= d
	}
	return n * elem.Size(), nil
}

// unpacked gives elements of two or four bits a byte each; the lowest bits of a byte come first.
func unpacked(p *onnxpb.TensorProto, elem loop.Elem) ([]byte, error) {
	raw := p.RawData
	for _, w := range p.Int32Data {
		raw = append(raw[:len(raw):len(raw)], byte(w))
	}
	n, bits := ir.NumElements(p.Dims), elem.Bits()
	per := 8 / bits
	if int64(len(raw)) != (n+per-1)/per {
		return nil, fmt.Errorf("%d bytes for %v%v", len(raw), elem, p.Dims)
	}
	out := make([]byte, n)
	for i := range n {
		x := raw[i/per] >> (i % per * bits) & byte(1<<bits-1)
		if shift := 8 - bits; elem == loop.I4 || elem == loop.I2 {
			x = byte(int8(x<<shift) >> shift)
		}
		out[i] = x
	}
	return out, nil
}

func boolsOnly(t *ir.Tensor) error {
	if t.Elem != loop.Bool {
		return nil
	}
	for i, b := range t.Data {
		if b > 1 {
			return fmt.Errorf("element %d of a bool tensor is %d", i, b)
		}
	}
	return nil
}

// typedTensor reads the fields that hold elements as numbers.
func typedTensor(p *onnxpb.TensorProto, elem loop.Elem) (*ir.Tensor, error) {
	n, at := 0, func(int) loop.Scalar { return loop.Scalar{} }
	switch elem {
	case loop.F32:
		n, at = len(p.FloatData), func(i int) loop.Scalar { return loop.Scalar{F: float64(p.FloatData[i])} }
	case loop.F64:
		n, at = len(p.DoubleData), func(i int) loop.Scalar { return loop.Scalar{F: p.DoubleData[i]} }
	case loop.I64:
		n, at = len(p.Int64Data), func(i int) loop.Scalar { return loop.Scalar{I: p.Int64Data[i]} }
	case loop.U64, loop.U32:
		n, at = len(p.Uint64Data), func(i int) loop.Scalar { return loop.Scalar{I: int64(p.Uint64Data[i])} }
	case loop.F16, loop.BF16:
		n, at = len(p.Int32Data), func(i int) loop.Scalar { return halfBits(elem, p.Int32Data[i]) }
	case loop.F8E4M3FN, loop.F8E4M3FNUZ, loop.F8E5M2, loop.F8E5M2FNUZ, loop.F8E8M0:
		n, at = len(p.Int32Data), func(i int) loop.Scalar {
			return loop.Scalar{F: float64(loop.Small[elem].Decode(uint8(p.Int32Data[i])))}
		}
	default:
		n, at = len(p.Int32Data), func(i int) loop.Scalar { return loop.Scalar{I: int64(p.Int32Data[i])} }
	}
	if want := ir.NumElements(p.Dims); int64(n) != want {
		return nil, fmt.Errorf("%d elements for %v%v, want %d", n, elem, p.Dims, want)
	}
	t := ir.NewTensor(elem, p.Dims...)
	for i := range n {
		t.Set(i, at(i))
	}
	return t, boolsOnly(t)
}

func halfBits(elem loop.Elem, bits int32) loop.Scalar {
	t := ir.NewTensor(elem, 1)
	ir.Slice[uint16](t)[0] = uint16(bits)
	return t.At(0)
}

// ReadTensor reads a TensorProto file, as in a test_data_set folder, with the tensor's name.
func ReadTensor(path string) (*ir.Tensor, string, error) {
	data, err := mapPath(path)
	if err != nil {
		return nil, "", err
	}
	m := &measure{}
	if err := m.check(data, tensorMsg, 0); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	var p onnxpb.TensorProto
	if err := p.Unmarshal(data); err != nil {
		return nil, "", rejected("%s: %v", path, err)
	}
	t, err := (*external)(nil).tensor(&p)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return t, p.Name, nil
}
