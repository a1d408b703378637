package onnx

import "encoding/binary"

// Limits bound the structure of a file before it is decoded. They stand in SECURITY.md too.
const (
	MaxDepth     = 48        // nested messages: a graph inside an attribute inside a node counts three
	MaxMessages  = 4_000_000 // messages in a file
	MaxNodes     = 200_000   // nodes after functions are inlined
	MaxName      = 1 << 16   // bytes of a name
	MaxDimension = 1 << 40   // size of one axis
)

type messageKind int

const (
	opaque messageKind = iota
	modelMsg
	graphMsg
	nodeMsg
	attributeMsg
	tensorMsg
	sparseMsg
	valueMsg
	typeMsg
	tensorTypeMsg
	shapeMsg
	functionMsg
	smallMsg // a message without messages inside
)

// fields are the embedded messages of each kind by field number, as in onnx.proto.
var fields = map[messageKind]map[uint64]messageKind{
	modelMsg:      {7: graphMsg, 8: smallMsg, 25: functionMsg},
	graphMsg:      {1: nodeMsg, 5: tensorMsg, 11: valueMsg, 12: valueMsg, 15: sparseMsg},
	nodeMsg:       {5: attributeMsg},
	attributeMsg:  {5: tensorMsg, 6: graphMsg, 10: tensorMsg, 11: graphMsg, 22: sparseMsg},
	tensorMsg:     {13: smallMsg},
	sparseMsg:     {1: tensorMsg},
	valueMsg:      {2: typeMsg},
	typeMsg:       {1: tensorTypeMsg},
	tensorTypeMsg: {2: shapeMsg},
	shapeMsg:      {1: smallMsg},
	functionMsg:   {7: nodeMsg, 9: smallMsg, 11: attributeMsg},
}

type measure struct{ messages int }

// check walks the wire format of a message without allocating and refuses what is malformed, too deep or too many.
func (m *measure) check(data []byte, kind messageKind, depth int) error {
	if depth > MaxDepth {
		return rejected("messages are nested deeper than %d", MaxDepth)
	}
	if m.messages++; m.messages > MaxMessages {
		return rejected("the file has more than %d messages", MaxMessages)
	}
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 || tag>>3 == 0 {
			return rejected("malformed protobuf: bad field tag")
		}
		data = data[n:]
		body, rest, err := field(data, tag&7)
		if err != nil {
			return err
		}
		data = rest
		sub := fields[kind][tag>>3]
		if sub == opaque || tag&7 != 2 {
			continue
		}
		if err := m.check(body, sub, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// field cuts one field's contents off.
func field(data []byte, wire uint64) (body, rest []byte, err error) {
	size := uint64(0)
	switch wire {
	case 0:
		_, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, nil, rejected("malformed protobuf: bad varint")
		}
		return nil, data[n:], nil
	case 1:
		size = 8
	case 5:
		size = 4
	case 2:
		var n int
		if size, n = binary.Uvarint(data); n <= 0 {
			return nil, nil, rejected("malformed protobuf: bad length")
		} else {
			data = data[n:]
		}
	default:
		return nil, nil, rejected("malformed protobuf: wire type %d", wire)
	}
	if size > uint64(len(data)) {
		return nil, nil, rejected("malformed protobuf: a field of %d bytes where %d are left (is the file truncated?)", size, len(data))
	}
	return data[:size], data[size:], nil
}
