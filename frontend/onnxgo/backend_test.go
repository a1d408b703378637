package onnxgo

import (
	"testing"

	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx"
)

// leftOut are conformance cases that do not run here, each with its reason.
var leftOut = map[string]string{
	"TestPow": "wants 1e-6 absolute on values above 1000, less than a step of f32 there",
	"TestReduceProdDefaultAxesKeepdimsRandom": "wants 1e-6 absolute on -24621, less than a step of f32 there",
	"TestSize":                "expects a vector of one element where the operator gives a scalar",
	"TestSizeExample":         "expects a vector of one element where the operator gives a scalar",
	"TestSliceNeg":            "the case holds its index operands as f32",
	"TestSliceEndOutOfBounds": "the case holds its index operands as f32",
}

// TestConformance runs onnx-go's own cases for the operators that this compiler reads. A case that needs an attribute or a type
// that is not supported is skipped by its own error.
func TestConformance(t *testing.T) {
	ran := 0
	for _, op := range []string{"Abs", "Add", "And", "Ceil", "Clip", "Concat", "Cos", "Div", "Dropout", "Equal", "Erf", "Exp", "Expand", "Flatten",
		"Floor", "Gather", "Gemm", "GlobalAveragePool", "Greater", "Identity", "LeakyRelu", "Less", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Or",
		"Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceL1", "ReduceL2", "Relu", "Reshape", "Shape", "Sigmoid",
		"Sign", "Sin", "Size", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where", "Xor"} {
		for _, make := range testbackend.GetOpTypeTests(op) {
			tc := make()
			t.Run(tc.Title, func(t *testing.T) {
				if why := leftOut[tc.Title]; why != "" {
					t.Skip(why)
				}
				tc.RunTest(New(), false)(t)
			})
			if tc.Tested && !tc.Skipped && !tc.Failed {
				ran++
			}
		}
	}
	if ran < 100 {
		t.Errorf("only %d cases ran", ran)
	}
}
