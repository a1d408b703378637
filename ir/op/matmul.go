package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// MatMul is the matrix product of the last two axes, with broadcasting of the others. Each element is one chain
// acc = fma(a[k], b[k], acc) in increasing k from zero.
var MatMul = ir.NewOp("matmul", "matrix product of the last two axes", nil)

// MatMulOther is MatMul for element types other than f32; the batch axes agree.
var MatMulOther = ir.NewOp("matmulother", "matrix product of the last two axes, not f32", nil)

func init() {
	MatMulOther.Infer = func(n *ir.Node) error {
		a, b := n.In[0], n.In[1]
		switch a.Elem {
		case loop.F64, loop.I32, loop.U32, loop.I64, loop.U64:
		default:
			return ir.NotSupported("MatMul of %v and %v", a.Elem, b.Elem)
		}
		r := len(a.Shape)
		if a.Elem != b.Elem || r < 2 || len(b.Shape) != r || !ir.SameShape(a.Shape[:r-2], b.Shape[:r-2]) {
			return fmt.Errorf("operands %v%v and %v%v", a.Elem, a.Shape, b.Elem, b.Shape)
		}
		n.Out[0].Elem, n.Out[0].Shape = a.Elem, dims(a.Shape[:r-1], b.Shape[r-1])
		return ir.Equal(a.Shape[r-1], b.Shape[r-2])
	}
	MatMulOther.Plain = func(*ir.Node) ir.PlainCall { return ir.PlainCall{Func: "MatMul"} }
	MatMulOther.Run = plain.MatMul
	MatMul.Infer = func(n *ir.Node) error {
		a, b := n.In[0], n.In[1]
		if a.Elem != loop.F32 || b.Elem != loop.F32 {
			return ir.NotSupported("MatMul of %v and %v", a.Elem, b.Elem)
		}
		if len(a.Shape) < 2 || len(b.Shape) < 2 {
			return fmt.Errorf("ranks %d and %d", len(a.Shape), len(b.Shape))
		}
		ra, rb := len(a.Shape), len(b.Shape)
		if err := ir.Equal(a.Shape[ra-1], b.Shape[rb-2]); err != nil {
			return fmt.Errorf("inner sizes: %w", err)
		}
		batch, err := ir.BroadcastShapes(a.Shape[:ra-2], b.Shape[:rb-2])
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, append(batch, a.Shape[ra-2], b.Shape[rb-1])
		return err
	}
	MatMul.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		return []*ir.Tensor{matmul(in[0], in[1], shape)}, nil
	}
	ir.FromONNX("", "MatMul", 1, readMatMul)
	ir.FromONNX("", "Gemm", 1, readGemm)
}

// matmul is the reference product; shape is the result's.
func matmul(a, b *ir.Tensor, shape []int64) *ir.Tensor {
	out := ir.NewTensor(loop.F32, shape...)
	x, y, z := ir.Slice[float32](a), ir.Slice[float32](b), ir.Slice[float32](out)
	r := len(shape)
	m, n, k := int(shape[r-2]), int(shape[r-1]), int(a.Shape[len(a.Shape)-1])
	batch := shape[:r-2]
	for t := range int(ir.NumElements(batch)) {
		pa := x[operandBatch(t, batch, a.Shape)*m*k:]
		pb := y[operandBatch(t, batch, b.Shape)*k*n:]
		for i := range m {
			row := z[(t*m+i)*n : (t*m+i+1)*n]
			for l := range k {
				av := pa[i*k+l]
				for j := range row {
					row[j] = loop.FMA32(av, pb[l*n+j], row[j])
				}
			}
		}
	}
	return out
}

// operandBatch maps a flat batch index of the result to that of an operand.
func operandBatch(t int, batch, shape []int64) int {
	own := shape[:len(shape)-2]
	idx, step := 0, 1
	for a, b := len(batch)-1, len(own)-1; b >= 0; a, b = a-1, b-1 {
		if own[b] != 1 {
			idx += t % int(batch[a]) * step
		}
		t /= int(batch[a])
		step *= int(own[b])
	}
	return idx
}

// readMatMul gives vectors a second axis for the product and drops it afterwards.
func readMatMul(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	a, b := in[0], in[1]
	if len(a.Shape) == 0 || len(b.Shape) == 0 {
		return fmt.Errorf("an operand is a scalar")
	}
	if len(a.Shape) == 1 {
		if a, err = reshape(c, a, []sym.Dim{sym.Const(1), a.Shape[0]}); err != nil {
			return err
		}
	}
	if len(b.Shape) == 1 {
		if b, err = reshape(c, b, []sym.Dim{b.Shape[0], sym.Const(1)}); err != nil {
			return err
		}
	}
	y, err := product(c, a, b)
	if err != nil {
		return err
	}
	to := append([]sym.Dim{}, y.Shape[:len(y.Shape)-2]...)
	if len(in[0].Shape) > 1 {
		to = append(to, y.Shape[len(y.Shape)-2])
	}
	if len(in[1].Shape) > 1 {
		to = append(to, y.Shape[len(y.Shape)-1])
	}
	return c.Return1(reshape(c, y, to))
}

// maxBatchAxes is how many batch axes a product of two computed operands has at most when it runs; more are made one.
const maxBatchAxes = 3

// product is the matrix product of any element type.
func product(c *ir.Import, x, y *ir.Value) (*ir.Value, error) {
	weights := y.Const != nil && len(y.Shape) == 2
	if max(len(x.Shape), len(y.Shape))-2 > maxBatchAxes && min(len(x.Shape), len(y.Shape)) >= 2 && !weights {
		return mergedProduct(c, x, y)
	}
	if x.Elem == loop.F32 || x.Elem != y.Elem || len(x.Shape) < 2 || len(y.Shape) < 2 {
		return c.Emit1(MatMul, nil, x, y)
	}
	batch, err := ir.BroadcastShapes(x.Shape[:len(x.Shape)-2], y.Shape[:len(y.Shape)-2])
	if err != nil {
		return nil, err
	}
	b := &builder{c: c}
	x = b.expand(x, dims(batch, x.Shape[len(x.Shape)-2:]))
	y = b.expand(y, dims(batch, y.Shape[len(y.Shape)-2:]))
	return b.do(MatMulOther, nil, x, y), b.err
}

// mergedProduct is product with one batch axis for all.
func mergedProduct(c *ir.Import, x, y *ir.Value) (*ir.Value, error) {
	mx, my := x.Shape[len(x.Shape)-2:], y.Shape[len(y.Shape)-2:]
	batch, err := ir.BroadcastShapes(x.Shape[:len(x.Shape)-2], y.Shape[:len(y.Shape)-2])
	if err != nil {
		return nil, err
	}
	b := &builder{c: c}
	x = b.reshape(b.expand(x, dims(batch, mx)), dims(sym.Product(batch), mx))
	if len(y.Shape) > 2 {
		y = b.reshape(b.expand(y, dims(batch, my)), dims(sym.Product(batch), my))
	}
	if b.err != nil {
		return nil, b.err
	}
	p, err := product(c, x, y)
	if err != nil {
		return nil, err
	}
	return reshape(c, p, dims(batch, mx[0], my[1]))
}

// readGemm reads alpha A' B' + beta C.
func readGemm(c *ir.Import) error {
	a, err1 := c.Need(0)
	b, err2 := c.Need(1)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if len(a.Shape) != 2 || len(b.Shape) != 2 {
		return fmt.Errorf("operands of rank %d and %d, want 2", len(a.Shape), len(b.Shape))
	}
	var err error
	if c.Int("transA", 0) != 0 {
		a, err = transpose(c, a, 1, 0)
	}
	if c.Int("transB", 0) != 0 && err == nil {
		b, err = transpose(c, b, 1, 0)
	}
	if err != nil {
		return err
	}
	y, err := product(c, a, b)
	if err != nil {
		return err
	}
	if y, err = scaled(c, y, c.Float("alpha", 1)); err != nil {
		return err
	}
	bias := c.Value(2)
	if bias == nil || c.Float("beta", 1) == 0 {
		return c.Return1(y, nil)
	}
	if bias, err = scaled(c, bias, c.Float("beta", 1)); err != nil {
		return err
	}
	if c.Opset < 7 && len(bias.Shape) == 1 && !bias.Shape[0].Is(1) && bias.Shape[0] != y.Shape[1] {
		return fmt.Errorf("a bias of %v for %v columns", bias.Shape[0], y.Shape[1])
	}
	return c.Return1(c.Emit1(Add, nil, y, bias))
}

func scaled(c *ir.Import, v *ir.Value, by float32) (*ir.Value, error) {
	if by == 1 {
		return v, nil
	}
	return c.Emit1(Mul, nil, v, ir.Scalar(v.Elem, float64(by)))
}
