package onnxgo

import (
	"fmt"

	"gorgonia.org/tensor"

	"mmc/ir"
	"mmc/ir/loop"
)

// fromTensor copies a gorgonia tensor.
func fromTensor(t tensor.Tensor) (*ir.Tensor, error) {
	var shape []int64
	for _, d := range t.Shape() {
		shape = append(shape, int64(d))
	}
	if t.RequiresIterator() {
		return nil, fmt.Errorf("a tensor that is not contiguous")
	}
	switch v := t.Data().(type) {
	case float32:
		return ir.Floats([]float32{v}, shape...), nil
	case int64:
		return ir.Ints([]int64{v}, shape...), nil
	case []float32:
		return copied(loop.F32, v, shape)
	case []float64:
		return copied(loop.F64, v, shape)
	case []int64:
		return copied(loop.I64, v, shape)
	case []int32:
		return copied(loop.I32, v, shape)
	case []bool:
		out := ir.NewTensor(loop.Bool, shape...)
		for i, x := range v {
			if x {
				out.Data[i] = 1
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a tensor of %v", t.Dtype())
}

func copied[T ir.Numeric](e loop.Elem, v []T, shape []int64) (*ir.Tensor, error) {
	out := ir.NewTensor(e, shape...)
	if len(v) != out.Len() {
		return nil, fmt.Errorf("%d elements for shape %v", len(v), shape)
	}
	copy(ir.Slice[T](out), v)
	return out, nil
}

// toTensor copies into a gorgonia tensor.
func toTensor(t *ir.Tensor) (tensor.Tensor, error) {
	shape := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = int(d)
	}
	var back any
	switch t.Elem {
	case loop.F32:
		back = append([]float32{}, ir.Slice[float32](t)...)
	case loop.F64:
		back = append([]float64{}, ir.Slice[float64](t)...)
	case loop.I64:
		back = append([]int64{}, ir.Slice[int64](t)...)
	case loop.I32:
		back = append([]int32{}, ir.Slice[int32](t)...)
	case loop.Bool:
		bools := make([]bool, t.Len())
		for i := range bools {
			bools[i] = t.Data[i] != 0
		}
		back = bools
	default:
		return nil, fmt.Errorf("a result of %v", t.Elem)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(back)), nil
}

// attributes converts onnx-go's decoded attributes.
func attributes(in map[string]any) (map[string]ir.Attribute, error) {
	out := map[string]ir.Attribute{}
	for name, v := range in {
		var a ir.Attribute
		switch v := v.(type) {
		case float32:
			a.F = v
		case int64:
			a.I = v
		case string:
			a.S = v
		case []float32:
			a.Floats = v
		case []int64:
			a.Ints = v
		case []string:
			a.Strings = v
		case tensor.Tensor:
			t, err := fromTensor(v)
			if err != nil {
				return nil, fmt.Errorf("attribute %q: %w", name, err)
			}
			a.T = t
		case struct{}:
			continue
		default:
			return nil, fmt.Errorf("attribute %q is a %T", name, v)
		}
		out[name] = a
	}
	return out, nil
}
