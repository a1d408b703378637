// Package onnxpb is the generated schema of ONNX files. It must not know what the fields mean.
//
// onnx.pb.go is made from onnx.proto by protoc 3.21 with gogo/protobuf v1.3.2:
//
//	protoc -I. -I$(go list -m -f '{{.Dir}}' github.com/gogo/protobuf) --gogofaster_out=. onnx.proto
package onnxpb

// Raw is a bytes field that keeps a view of the decoder's input: decoding a mapped file copies no weights.
type Raw []byte

// Unmarshal keeps the view.
func (r *Raw) Unmarshal(data []byte) error {
	*r = data
	return nil
}

// Size, MarshalTo and Marshal complete the custom type.
func (r Raw) Size() int { return len(r) }

// MarshalTo copies the bytes to data.
func (r Raw) MarshalTo(data []byte) (int, error) { return copy(data, r), nil }

// Marshal returns the bytes.
func (r Raw) Marshal() ([]byte, error) { return r, nil }
