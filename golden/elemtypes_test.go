package golden

import (
	"errors"
	"fmt"
	"testing"

	"mmc/frontend/onnx"
	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
)

// TestElementTypes applies every elementwise operator to constants of every type: what its shape rule takes it must be able to compute.
func TestElementTypes(t *testing.T) {
	for name, o := range ir.Ops() {
		if o.Elem == nil {
			continue
		}
		for e := loop.F32; e <= loop.U2; e++ {
			for arity := 1; arity <= 3; arity++ {
				if err := tryElement(o, e, arity); err != nil {
					t.Errorf("%s of %d %v: %v", name, arity, e, err)
				}
			}
		}
	}
}

func tryElement(o *ir.Op, e loop.Elem, arity int) (err error) {
	inferred := false
	defer func() {
		if r := recover(); r != nil && inferred {
			err = fmt.Errorf("%v", r)
		}
	}()
	in, tensors := make([]*ir.Value, arity), make([]*ir.Tensor, arity)
	for i := range in {
		tensors[i] = ir.NewTensor(e, 2)
		ir.FillRandom(tensors[i], uint64(i+3), 2)
		in[i] = ir.ConstValue("", tensors[i])
	}
	n, err := ir.NewNode(o, o.Proto, nil, in...)
	if err != nil {
		return nil
	}
	inferred = true
	_, err = n.Eval(nil, tensors)
	return err
}

// TestWideWeights refuses a convolution of integers in groups whose weights of sixteen bits neither f32 nor two halves of eight bits hold exactly.
func TestWideWeights(t *testing.T) {
	conv := &onnxpb.NodeProto{OpType: "ConvInteger", Input: []string{"x", "w"}, Output: []string{"y"}, Attribute: []*onnxpb.AttributeProto{{Name: "group", I: 2, Type: 2}}}
	m := &onnxpb.ModelProto{IrVersion: 8, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}}, Graph: &onnxpb.GraphProto{Name: "g", Node: []*onnxpb.NodeProto{conv},
		Input: []*onnxpb.ValueInfoProto{port("x", 2, 1, 6, 1, 1), port("w", 5, 2, 3, 1, 1)}, Output: []*onnxpb.ValueInfoProto{port("y", 6, 1, 2, 1, 1)}}}
	var uns *onnx.Unsupported
	if err := compileBytes(marshal(t, m), t.TempDir()); !errors.As(err, &uns) {
		t.Errorf("want it to be unsupported, got %v", err)
	}
}
