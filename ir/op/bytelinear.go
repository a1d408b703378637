package op

import (
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// ByteLinearAttr holds the least element that x may have, and whether the result is i32 rather than that rounded to f32.
type ByteLinearAttr struct {
	Lo  int64
	I32 bool
}

// ByteLinear is (x - zero) W + bias over integers of 32 bits, which wrap: x of f32 that holds whole numbers from Lo to Lo + 255, k of them in the
// last axis, W a constant of i8 of shape [k, n], zero an f32 scalar that holds a whole number of at most nine bits, or absent, bias a
// constant of i32 of shape [n], or absent. Columns of x that again, a constant of i32, names come a second time behind the k, W having a row for
// each, so that a weight may be the sum of bytes: a byte less its zero point has nine bits. It is the product of MatMulInteger and its kin.
var ByteLinear = ir.NewOp("bytelinear", "(x - zero) W + bias of integers, W constant", ByteLinearAttr{})

func init() {
	ByteLinear.Infer = inferByteLinear
	ByteLinear.Eval = evalByteLinear
}

func inferByteLinear(n *ir.Node) error {
	if len(n.In) != 5 {
		return fmt.Errorf("%d inputs, want x, W, zero, bias, again", len(n.In))
	}
	x, w, zero, bias, again := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
	if x.Elem != loop.F32 || w.Elem != loop.I8 || w.Const == nil || len(w.Shape) != 2 || len(x.Shape) < 1 {
		return fmt.Errorf("operands of wrong type or rank")
	}
	k, more := x.Shape[len(x.Shape)-1], int64(0)
	if again != nil {
		if again.Elem != loop.I32 || again.Const == nil {
			return fmt.Errorf("columns again of %v%v", again.Elem, again.Shape)
		}
		more = int64(again.Const.Len())
		for _, i := range ir.Slice[int32](again.Const) {
			if lo, _ := k.Bounds(); i < 0 || int64(i) >= lo {
				return fmt.Errorf("column %d again, of %v", i, k)
			}
		}
	}
	if err := ir.Equal(k.Add(sym.Const(more)), w.Shape[0]); err != nil {
		return err
	}
	if zero != nil && (zero.Elem != loop.F32 || len(zero.Shape) != 0) {
		return fmt.Errorf("a zero point %v%v", zero.Elem, zero.Shape)
	}
	if bias != nil && (bias.Elem != loop.I32 || bias.Const == nil || len(bias.Shape) != 1 || bias.Shape[0] != w.Shape[1]) {
		return fmt.Errorf("a bias %v%v for %v columns", bias.Elem, bias.Shape, w.Shape[1])
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(x.Shape[:len(x.Shape)-1], w.Shape[1])
	if n.Attr.(ByteLinearAttr).I32 {
		n.Out[0].Elem = loop.I32
	}
	return nil
}

func evalByteLinear(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(n.Out[0].Elem, shape...)
	x, w, zero := ir.Slice[float32](in[0]), ir.Slice[int8](in[1]), int32(0)
	if in[2] != nil {
		zero = int32(ir.Slice[float32](in[2])[0])
	}
	cols, k := int(in[1].Shape[1]), int(in[0].Shape[len(in[0].Shape)-1])
	for r := range ir.NumElements(shape[:len(shape)-1]) {
		row := x[int(r)*k : (int(r)+1)*k : (int(r)+1)*k]
		if in[4] != nil {
			for _, i := range ir.Slice[int32](in[4]) {
				row = append(row, row[i])
			}
		}
		sum := make([]int32, cols)
		if in[3] != nil {
			copy(sum, ir.Slice[int32](in[3]))
		}
		for i, v := range row {
			for j := range sum {
				sum[j] += (int32(v) - zero) * int32(w[i*cols+j])
			}
		}
		for j, v := range sum {
			if out.Elem == loop.I32 {
				ir.Slice[int32](out)[int(r)*cols+j] = v
			} else {
				ir.Slice[float32](out)[int(r)*cols+j] = float32(v)
			}
		}
	}
	return []*ir.Tensor{out}, nil
}

// bytes is the product of integers of eight bits with constant ones, zero points taken off, as i32; nil where it is not of that kind.
func (b *builder) bytes(x, zx, y, zy *ir.Value) *ir.Value {
	if b.err != nil || len(y.Shape) != 2 || x.Elem != loop.I8 && x.Elem != loop.U8 || zx != nil && len(zx.Shape) != 0 {
		return nil
	}
	w, again := centredBytes(y, zy)
	if w == nil {
		return nil
	}
	return b.byteLinear(x, zx, w, again)
}

// byteLinear is the product of integers of eight bits less their zero point with bytes, as i32.
func (b *builder) byteLinear(x, zx, w, again *ir.Value) *ir.Value {
	x, zero, lo := b.bytesOf(x, zx)
	return b.do(ByteLinear, ByteLinearAttr{Lo: lo, I32: true}, x, w, zero, nil, again)
}

// bytesOf is what a ByteLinear takes of integers of eight bits and their zero point: whole numbers, less the zero point if it is a constant, the
// zero point if it is not, and the least number.
func (b *builder) bytesOf(x, zx *ir.Value) (whole, zero *ir.Value, lo int64) {
	lo = int64(bounds[x.Elem][0])
	switch {
	case zx == nil || isZero(zx):
		return b.whole(x), nil, lo
	case zx.Const != nil:
		return b.centred(x, zx), nil, lo - zx.Const.At(0).I
	}
	return b.whole(x), b.whole(zx), lo
}

// centredBytes are the constant bytes y less their zero points, one for all or one a column, as bytes: rows that have a number beyond eight bits
// are again at the end with what is left of it. nil if y is not of that kind.
func centredBytes(y, zy *ir.Value) (w, again *ir.Value) {
	from := ir.Computed(y)
	if from == nil || y.Elem != loop.I8 && y.Elem != loop.U8 || zy != nil && (zy.Const == nil || len(zy.Shape) > 1) {
		return nil, nil
	}
	k, cols := int(from.Shape[0]), int(from.Shape[1])
	if zy != nil && zy.Const.Len() != cols && zy.Const.Len() != 1 {
		return nil, nil
	}
	return Bytes(k, cols, func(r, c int) int64 {
		v := from.At(r*cols + c).I
		if zy != nil {
			v -= zy.Const.At(c % zy.Const.Len()).I
		}
		return v
	})
}

// Bytes makes the constants of a ByteLinear of a matrix of whole numbers of at most nine bits: what is beyond eight bits is in rows at the end,
// two of them where a column has 255.
func Bytes(k, cols int, at func(r, c int) int64) (w, again *ir.Value) {
	data, rows, left := make([]int8, 0, k*cols), []int32{}, []int8{}
	rest := make([]int64, cols)
	for r := range k {
		for c := range rest {
			rest[c] = at(r, c)
		}
		data = takeByte(data, rest)
		for slices.ContainsFunc(rest, func(v int64) bool { return v != 0 }) {
			rows, left = append(rows, int32(r)), takeByte(left, rest)
		}
	}
	if len(rows) > 0 {
		again = ir.ConstValue("", tensorOf(loop.I32, rows, int64(len(rows))))
	}
	return ir.ConstValue("", tensorOf(loop.I8, append(data, left...), int64(k+len(rows)), int64(cols))), again
}

// takeByte appends what a byte can have of each number, and takes it off.
func takeByte(to []int8, rest []int64) []int8 {
	for c, v := range rest {
		b := max(-128, min(v, 127))
		to, rest[c] = append(to, int8(b)), v-b
	}
	return to
}

// tensorOf is a tensor of the given elements.
func tensorOf[T int8 | int32](e loop.Elem, data []T, shape ...int64) *ir.Tensor {
	t := ir.NewTensor(e, shape...)
	copy(ir.Slice[T](t), data)
	return t
}
