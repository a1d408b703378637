package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// com.microsoft's operators on quantised tensors: computed on what the operands stand for, and rounded again.
func init() {
	for name, o := range map[string]*ir.Op{"QLinearAdd": Add, "QLinearMul": Mul} {
		ir.FromONNX("com.microsoft", name, 1, func(c *ir.Import) error {
			b := &builder{c: c}
			x, y := b.tensor(0), b.tensor(3)
			return b.done(b.again(b.do(o, nil, x, y), 6))
		})
	}
	unaryQ := func(name string, f func(b *builder, x *ir.Value) *ir.Value) {
		ir.FromONNX("com.microsoft", name, 1, func(c *ir.Import) error {
			b := &builder{c: c}
			x := b.tensor(0)
			return b.done(b.again(f(b, x), 3))
		})
	}
	unaryQ("QLinearSigmoid", func(b *builder, x *ir.Value) *ir.Value { return b.do(Sigmoid, nil, x) })
	unaryQ("QLinearLeakyRelu", func(b *builder, x *ir.Value) *ir.Value {
		return b.do(LeakyRelu, LeakyReluAttr{b.c.Float("alpha", 0.01)}, x)
	})
	unaryQ("QLinearGlobalAveragePool", func(b *builder, x *ir.Value) *ir.Value {
		var axes []int64
		for a := range len(shapeOf(x)) - 2 {
			axes = append(axes, int64(a)+2-b.c.Int("channels_last", 0))
		}
		return b.reduce(x, "mean", true, axes...)
	})
	unaryQ("QLinearReduceMean", func(b *builder, x *ir.Value) *ir.Value {
		axes, _ := b.c.Ints("axes")
		return b.reduce(x, "mean", b.c.Int("keepdims", 1) != 0, axes...)
	})
	unaryQ("QLinearAveragePool", func(b *builder, x *ir.Value) *ir.Value {
		if b.err != nil {
			return nil
		}
		kernel, _ := b.c.Ints("kernel_shape")
		if b.c.Int("channels_last", 0) != 0 || len(kernel) != len(x.Shape)-2 {
			return b.fail(ir.NotSupported("QLinearAveragePool with channels last"))
		}
		w, err := windowAttr(b.c, x.Shape[2:], kernel)
		if b.err = err; err != nil {
			return nil
		}
		return b.do(Pool, PoolAttr{Kernel: w.Kernel, Strides: w.Strides, Dilations: w.Dilations, Pads: w.Pads,
			CountPad: b.c.Int("count_include_pad", 0) != 0, Ceil: b.c.Int("ceil_mode", 0) != 0}, x)
	})
	unaryQ("QLinearSoftmax", func(b *builder, x *ir.Value) *ir.Value {
		axis, err := axisOf(b.c.Int("axis", -1), len(shapeOf(x)))
		if b.err == nil {
			b.err = err
		}
		if b.err != nil {
			return nil
		}
		perm := swapped(len(x.Shape), axis, len(x.Shape)-1)
		return b.transpose(b.do(Softmax, nil, b.transpose(x, perm...)), perm...)
	})
	ir.FromONNX("com.microsoft", "QLinearConcat", 1, readQLinearConcat)
	ir.FromONNX("com.microsoft", "MatMulNBits", 1, readMatMulNBits)
}

func shapeOf(v *ir.Value) []sym.Dim {
	if v == nil {
		return nil
	}
	return v.Shape
}

// tensor is what inputs i, i+1, i+2 stand for: a quantised tensor, its scale and its zero point, which may be absent.
func (b *builder) tensor(i int) *ir.Value {
	x := b.need(i)
	return b.dequantised(x, b.single(b.whole(b.need(i+1))), b.single(b.c.Value(i+2)))
}

// again rounds to the first input's type with the scale and zero point at i and i+1.
func (b *builder) again(y *ir.Value, i int) *ir.Value {
	scale := b.single(b.whole(b.need(i)))
	if b.err != nil {
		return nil
	}
	return b.quantised(y, scale, b.single(b.c.Value(i+1)), b.c.Inputs[0].Elem)
}

// readQLinearConcat: the result's scale and zero, then tensor, scale and zero of each part.
func readQLinearConcat(c *ir.Import) error {
	if len(c.Inputs) < 5 || len(c.Inputs)%3 != 2 {
		return fmt.Errorf("%d inputs", len(c.Inputs))
	}
	b := &builder{c: c}
	var parts []*ir.Value
	for i := 2; i < len(c.Inputs); i += 3 {
		parts = append(parts, b.tensor(i))
	}
	if b.err != nil {
		return b.err
	}
	axis, err := axisOf(c.Int("axis", 0), len(parts[0].Shape))
	if err != nil {
		return err
	}
	return b.done(b.quantised(b.concat(axis, parts...), b.single(b.whole(c.Inputs[0])), b.single(c.Inputs[1]), c.Inputs[2].Elem))
}

// readMatMulNBits multiplies with weights of 2, 4 or 8 bits in blocks along the inner axis: B [n, blocks, block*bits/8] of u8, scales
// [n*blocks], zero points packed like the weights or f32, 2^(bits-1) by default.
func readMatMulNBits(c *ir.Import) error {
	b := &builder{c: c}
	x, packed, scales := b.need(0), b.need(1), b.need(2)
	n, k, bits, block := c.Int("N", 0), c.Int("K", 0), c.Int("bits", 4), c.Int("block_size", 0)
	if b.err != nil {
		return b.err
	}
	if n < 1 || k < 1 || block < 1 || bits != 2 && bits != 4 && bits != 8 {
		return fmt.Errorf("N %d, K %d, %d bits in blocks of %d", n, k, bits, block)
	}
	if packed.Const == nil || scales.Const == nil || c.Value(4) != nil {
		return ir.NotSupported("MatMulNBits of weights that are not constant, or with g_idx")
	}
	blocks := (k + block - 1) / block
	if int64(packed.Const.Len()) != n*blocks*(block*bits/8) || int64(scales.Const.Len()) != n*blocks {
		return fmt.Errorf("weights %v and scales %v for N %d, K %d", packed.Shape, scales.Shape, n, k)
	}
	zero, err := nbitsZeros(c.Value(3), n, blocks, bits)
	if err != nil {
		return err
	}
	w := nbitsTable{k, n, bits, block, packed.Const.Data, scales.Const, zero}.matrix()
	if z := c.Value(3); bits == 2 || block%2 != 0 || z != nil && z.Const.Elem.Float() {
		w.Coded = nil
	}
	y := b.do(MatMul, nil, x, ir.ConstValue(packed.Name, w))
	if bias := c.Value(5); bias != nil {
		y = b.add(y, bias)
	}
	return b.done(y)
}

// nbitsTable is a matrix of numbers of some bits in blocks along k.
type nbitsTable struct {
	k, n, bits, block int64
	data              []byte // [n, blocks, block*bits/8]
	scales            *ir.Tensor
	zero              func(block int64) float32
}

// matrix is the table as f32 [k, n], and how it is coded, with zeros that are whole: blocks of many steps are cut into some of at most
// maxBlock.
func (t nbitsTable) matrix() *ir.Tensor {
	blocks := (t.k + t.block - 1) / t.block
	short := t.block
	for short > maxBlock || t.block%short != 0 || short%2 != 0 && short > 2 {
		short--
	}
	w, rows := ir.NewTensor(loop.F32, t.k, t.n), (t.k+short-1)/short
	c := &ir.Coded{Bits: t.bits, Block: short, Q: make([]uint8, t.k*t.n), Zeros: make([]uint8, rows*t.n), Scales: make([]float32, rows*t.n)}
	out := ir.Slice[float32](w)
	for j := range t.n {
		for i := range t.k {
			at := j*blocks + i/t.block
			q, zero, scale := field(t.data, j*blocks*t.block+i, t.bits), t.zero(at), float32(t.scales.At(int(at)).F)
			out[i*t.n+j] = (float32(q) - zero) * scale
			c.Q[i*t.n+j] = q
			c.Zeros[i/short*t.n+j], c.Scales[i/short*t.n+j] = uint8(zero), scale
		}
	}
	w.Coded = c
	return w
}

// maxBlock is the most steps of k with one scale: programs make f32 of whole blocks at once.
const maxBlock = 256

// nbitsZeros gives the zero point of a block; packed ones fill whole bytes a row.
func nbitsZeros(z *ir.Value, n, blocks, bits int64) (func(block int64) float32, error) {
	if z == nil {
		return func(int64) float32 { return float32(int64(1) << (bits - 1)) }, nil
	}
	if z.Const == nil {
		return nil, ir.NotSupported("MatMulNBits with zero points that are not constant")
	}
	if z.Const.Elem == loop.F32 && int64(z.Const.Len()) == n*blocks {
		return func(i int64) float32 { return float32(z.Const.At(int(i)).F) }, nil
	}
	row := int64(math.Ceil(float64(blocks*bits) / 8))
	if z.Const.Elem != loop.U8 || int64(z.Const.Len()) != n*row {
		return nil, fmt.Errorf("zero points %v for %d blocks of %d columns", z.Const, blocks, n)
	}
	return func(i int64) float32 {
		return float32(field(z.Const.Data[i/blocks*row:], i%blocks, bits))
	}, nil
}

// field is number i of a row of bit fields, lowest bits first.
func field(data []byte, i, bits int64) byte {
	per := 8 / bits
	return data[i/per] >> (i % per * bits) & byte(1<<bits-1)
}
