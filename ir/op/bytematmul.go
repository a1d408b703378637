package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ByteMatMulAttr holds the least elements that the operands may have, and whether the result is i32 rather than that rounded to f32.
type ByteMatMulAttr struct {
	LoA, LoB int64
	I32      bool
}

// ByteMatMul is (a - za)(b - zb) over integers of 32 bits, which wrap, of the last two axes with broadcasting of the others: a and b of f32 that
// hold whole numbers from LoA to LoA + 255 and from LoB to LoB + 255; za and zb f32 scalars that hold whole numbers of at most nine bits, or
// absent. It is MatMulInteger and its kin of two operands that are computed.
var ByteMatMul = ir.NewOp("bytematmul", "(a - za)(b - zb) of integers, of the last two axes", ByteMatMulAttr{})

func init() {
	ByteMatMul.Infer = func(n *ir.Node) error {
		if len(n.In) != 4 {
			return fmt.Errorf("%d inputs, want a, b, za, zb", len(n.In))
		}
		a, b := n.In[0], n.In[1]
		ra, rb := len(a.Shape), len(b.Shape)
		if a.Elem != loop.F32 || b.Elem != loop.F32 || ra < 2 || rb < 2 {
			return fmt.Errorf("operands %v%v and %v%v", a.Elem, a.Shape, b.Elem, b.Shape)
		}
		for _, z := range n.In[2:] {
			if z != nil && (z.Elem != loop.F32 || len(z.Shape) != 0) {
				return fmt.Errorf("a zero point %v%v", z.Elem, z.Shape)
			}
		}
		if err := ir.Equal(a.Shape[ra-1], b.Shape[rb-2]); err != nil {
			return fmt.Errorf("inner sizes: %w", err)
		}
		batch, err := ir.BroadcastShapes(a.Shape[:ra-2], b.Shape[:rb-2])
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, append(batch, a.Shape[ra-2], b.Shape[rb-1])
		if n.Attr.(ByteMatMulAttr).I32 {
			n.Out[0].Elem = loop.I32
		}
		return err
	}
	ByteMatMul.Eval = evalByteMatMul
}

func evalByteMatMul(n *ir.Node, bind sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, bind)
	if err != nil {
		return nil, err
	}
	a, b, out := in[0], in[1], ir.NewTensor(n.Out[0].Elem, shape...)
	x, y := ir.Slice[float32](a), ir.Slice[float32](b)
	var zero [2]int32
	for i, z := range in[2:] {
		if z != nil {
			zero[i] = int32(ir.Slice[float32](z)[0])
		}
	}
	r := len(shape)
	rows, cols, k := int(shape[r-2]), int(shape[r-1]), int(a.Shape[len(a.Shape)-1])
	sum := make([]int32, cols)
	for t := range int(ir.NumElements(shape[:r-2])) {
		pa := x[operandBatch(t, shape[:r-2], a.Shape)*rows*k:]
		pb := y[operandBatch(t, shape[:r-2], b.Shape)*k*cols:]
		for i := range rows {
			clear(sum)
			for l := range k {
				for j := range sum {
					sum[j] += (int32(pa[i*k+l]) - zero[0]) * (int32(pb[l*cols+j]) - zero[1])
				}
			}
			for j, v := range sum {
				if at := (t*rows+i)*cols + j; out.Elem == loop.I32 {
					ir.Slice[int32](out)[at] = v
				} else {
					ir.Slice[float32](out)[at] = float32(v)
				}
			}
		}
	}
	return []*ir.Tensor{out}, nil
}

// byteMatMul is the product of two operands of eight bits with one zero point each, as i32; nil where they are not of that kind.
func (b *builder) byteMatMul(x, zx, y, zy *ir.Value) *ir.Value {
	for _, v := range []*ir.Value{x, y} {
		if v.Elem != loop.I8 && v.Elem != loop.U8 || len(v.Shape) > maxBatchAxes+2 {
			return nil
		}
	}
	if zx != nil && len(zx.Shape) != 0 || zy != nil && len(zy.Shape) != 0 {
		return nil
	}
	zero := func(z *ir.Value) *ir.Value {
		if z == nil || isZero(z) {
			return nil
		}
		return b.whole(z)
	}
	a := ByteMatMulAttr{LoA: int64(bounds[x.Elem][0]), LoB: int64(bounds[y.Elem][0]), I32: true}
	return b.do(ByteMatMul, a, b.whole(x), b.whole(y), zero(zx), zero(zy))
}
