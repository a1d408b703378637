package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
)

func init() {
	ir.FromONNX("com.microsoft", "MatMulBnb4", 1, readMatMulBnb4)
	ir.FromONNX("com.microsoft", "DynamicQuantizeLSTM", 1, readQuantizedLSTM)
}

// bnb4 are the numbers that four bits stand for, times the greatest of their block: fp4 and nf4 (Dettmers et al., 2023).
var bnb4 = [2][16]float32{
	{0, 0.00520833333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25, 0, -0.00520833333, -0.66666667, -1, -0.33333333, -0.5, -0.16666667, -0.25},
	{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1},
}

// readMatMulBnb4 multiplies with the transpose of weights [N, K] that are packed two to a byte, the high half first, in blocks of the
// flattened matrix with a greatest magnitude each.
func readMatMulBnb4(c *ir.Import) error {
	b := &builder{c: c}
	x, packed, most := b.need(0), b.need(1), b.need(2)
	n, k, block, kind := c.Int("N", 0), c.Int("K", 0), c.Int("block_size", 0), c.Int("quant_type", 1)
	if b.err != nil {
		return b.err
	}
	if n < 1 || k < 1 || block < 1 || n > ir.MaxElements/k || kind != 0 && kind != 1 || c.Int("transB", 1) == 0 {
		return ir.NotSupported("MatMulBnb4 with N %d, K %d, blocks of %d, type %d", n, k, block, kind)
	}
	if packed.Const == nil || most.Const == nil {
		return ir.NotSupported("MatMulBnb4 of weights that are not constant")
	}
	if packed.Const.Elem != loop.U8 || int64(packed.Const.Len()) != (n*k+1)/2 || int64(most.Const.Len()) != (n*k+block-1)/block {
		return fmt.Errorf("weights %v and magnitudes %v for N %d, K %d", packed.Const, most.Const, n, k)
	}
	w := ir.NewTensor(loop.F32, k, n)
	out := ir.Slice[float32](w)
	for i := range n * k {
		q := packed.Const.Data[i/2] >> (4 * (1 - i%2)) & 15
		out[i%k*n+i/k] = bnb4[kind][q] * float32(most.Const.At(int(i/block)).F)
	}
	return b.done(b.do(MatMul, nil, x, ir.ConstValue(packed.Name, w)))
}

// readQuantizedLSTM is LSTM with weights [directions, in, 4*hidden] of 8 bits. They are widened; the input and the state, which ONNX
// Runtime also rounds to 8 bits at every step, are not rounded.
func readQuantizedLSTM(c *ir.Import) error {
	if len(c.Inputs) < 12 {
		return fmt.Errorf("%d inputs, want 12", len(c.Inputs))
	}
	b, in := &builder{c: c}, c.Inputs
	c.Graph.Rounding = "int8"
	wide := func(v, scale, zero *ir.Value) *ir.Value {
		if v == nil || scale == nil || len(v.Shape) != 3 {
			return b.fail(fmt.Errorf("weights or their scale are missing"))
		}
		to := func(s *ir.Value) *ir.Value { // one a direction, or one a direction and column
			switch {
			case s == nil:
				return nil
			case len(s.Shape) == 1:
				return b.reshape(s, dims(s.Shape[0], 1, 1))
			case len(s.Shape) == 2:
				return b.reshape(s, dims(s.Shape[0], 1, s.Shape[1]))
			}
			return b.fail(fmt.Errorf("a scale of rank %d", len(s.Shape)))
		}
		return b.transpose(b.dequantised(v, to(scale), to(zero)), 0, 2, 1)
	}
	w, r := wide(in[1], in[8], in[9]), wide(in[2], in[10], in[11])
	if b.err != nil {
		return b.err
	}
	inputs := append([]*ir.Value{}, in[:8]...)
	inputs[1], inputs[2] = w, r
	of := *c
	of.Inputs = inputs
	err := readRecurrent(&of, "lstm")
	c.Out = of.Out
	return err
}
