package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// arithmetic refuses the element types that no kernel computes in.
func arithmetic(v *ir.Value) error {
	if v.Elem.Stored() || v.Elem == loop.String {
		return ir.NotSupported("arithmetic in %v", v.Elem)
	}
	return nil
}

// sameAsFirst infers one output of the first input's type and the common shape of all inputs, which have one type.
func sameAsFirst(n *ir.Node) error {
	shapes := make([][]sym.Dim, len(n.In))
	for i, v := range n.In {
		if v == nil {
			return fmt.Errorf("operand %d is missing", i)
		}
		if err := arithmetic(v); err != nil {
			return err
		}
		if v.Elem != n.In[0].Elem {
			return mixed(n)
		}
		shapes[i] = v.Shape
	}
	shape, err := ir.BroadcastShapes(shapes...)
	n.Out[0].Elem, n.Out[0].Shape = n.In[0].Elem, shape
	return err
}

// sameBool is sameAsFirst with a bool result.
func sameBool(n *ir.Node) error {
	err := sameAsFirst(n)
	n.Out[0].Elem = loop.Bool
	return err
}

// logical is sameAsFirst for operators of bools alone.
func logical(n *ir.Node) error {
	for _, v := range n.In {
		if v.Elem != loop.Bool {
			return fmt.Errorf("an operand is %v, want bool", v.Elem)
		}
	}
	return sameAsFirst(n)
}

// unary registers an elementwise operator of one input under one ONNX name.
func unary(op *ir.Op, onnx string, f func(b *loop.Builder, x loop.Val) loop.Val) {
	op.Infer = sameAsFirst
	op.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val { return f(b, in[0]) }
	ir.FromONNX("", onnx, 1, readN(op, 1))
}

// code is unary for an operator that is one instruction.
func code(op *ir.Op, onnx string, c loop.Code) {
	unary(op, onnx, func(b *loop.Builder, x loop.Val) loop.Val { return b.Do(c, x) })
}

// call is unary for an operator computed by one of Go's math functions in f64.
func call(op *ir.Op, onnx string) {
	unary(op, onnx, func(b *loop.Builder, x loop.Val) loop.Val { return b.Call(onnx, x) })
}

// f32or is a program for f32 and one of Go's math functions for f64.
func f32or(name string, f func(b *loop.Builder, x loop.Val) loop.Val) func(b *loop.Builder, x loop.Val) loop.Val {
	return func(b *loop.Builder, x loop.Val) loop.Val {
		if b.Elem(x) == loop.F32 {
			return f(b, x)
		}
		return b.Call(name, x)
	}
}

// binary registers an elementwise operator of two inputs that is one instruction, with its meaning on dims if it has one.
func binary(op *ir.Op, onnx string, c loop.Code, infer func(*ir.Node) error, dim func(a, b sym.Dim) (sym.Dim, bool)) {
	op.Infer = infer
	op.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val { return b.Do(c, in[0], in[1]) }
	if dim != nil {
		op.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) { return dim(in[0], in[1]) }
	}
	ir.FromONNX("", onnx, 1, func(c *ir.Import) error {
		in, err := legacyOperands(c)
		if err != nil {
			return err
		}
		if in[1], err = alike(c, in[0], in[1]); err != nil {
			return err
		}
		return c.Return(c.Emit(op, nil, in...))
	})
}

// alike is the second operand with the first one's sizes where neither that nor the contrary can be shown; see agree.
func alike(c *ir.Import, x, y *ir.Value) (*ir.Value, error) {
	shape := append([]sym.Dim{}, y.Shape...)
	for i := range shape {
		if k := len(x.Shape) - len(shape) + i; k >= 0 && !shape[i].Is(1) && !x.Shape[k].Is(1) {
			shape[i] = x.Shape[k]
		}
	}
	return agree(c, y, shape, -1)
}

// legacyOperands are the two operands of a binary operator. Before opset 7 an attribute axis says where the axes of the second lie among
// those of the first.
func legacyOperands(c *ir.Import) ([]*ir.Value, error) {
	in, err := c.NeedAll(2)
	axis := c.Int("axis", -1)
	if err != nil || c.Opset >= 7 || axis < 0 {
		return in, err
	}
	shape := append([]sym.Dim{}, in[1].Shape...)
	for len(shape)+int(axis) < len(in[0].Shape) {
		shape = append(shape, sym.Const(1))
	}
	b, err := reshape(c, in[1], shape)
	return []*ir.Value{in[0], b}, err
}

// readN reads an ONNX operator of exactly n inputs that maps to op without attributes.
func readN(op *ir.Op, n int) func(*ir.Import) error {
	return func(c *ir.Import) error {
		in, err := c.NeedAll(n)
		if err != nil {
			return err
		}
		return c.Return(c.Emit(op, nil, in...))
	}
}

// truth turns an answer about dims into a content of a bool value.
func truth(t sym.Truth) (sym.Dim, bool) {
	if t == sym.True {
		return sym.Const(1), true
	}
	return sym.Const(0), t == sym.False
}
