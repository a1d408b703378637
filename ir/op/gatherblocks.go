package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
)

// GatherBlockQuantized picks from a constant table that is quantised by blocks along an axis, as ONNX Runtime's model builder keeps the
// embeddings of words.
func init() {
	ir.FromONNX("com.microsoft", "GatherBlockQuantized", 1, readGatherBlocks)
}

func readGatherBlocks(c *ir.Import) error {
	data, err := c.Need(0)
	if err != nil {
		return err
	}
	rank := len(data.Shape)
	axis, err := axisOf(c.Int("gather_axis", 0), rank)
	if err != nil {
		return err
	}
	along, err := axisOf(c.Int("quantize_axis", 1), rank)
	if err != nil {
		return err
	}
	t, err := blockTable(c, along)
	if err != nil {
		return err
	}
	if t.per > 1 && (axis == rank-1 || along == axis) {
		return fmt.Errorf("packed data gathered along axis %d and quantised along %d", axis, along)
	}
	c.Inputs = []*ir.Value{ir.ConstValue(data.Name, t.values()), c.Value(1)}
	c.Attrs = map[string]ir.Attribute{"axis": {I: int64(axis)}}
	return ir.Reading("", "Gather", 13)(c)
}

// quantTable is a table of numbers of some bits, several of which may share a byte along the last axis, with a scale and perhaps a zero
// for each block along an axis.
type quantTable struct {
	data, scales, zeros *ir.Tensor
	along               int
	block, bits, per    int64 // per: how many numbers a byte of data holds
	none                float32
}

func blockTable(c *ir.Import, along int) (*quantTable, error) {
	scales, err := c.Need(2)
	if err != nil {
		return nil, err
	}
	data, zeros := c.Inputs[0], c.Value(3)
	if data.Const == nil || scales.Const == nil || zeros != nil && zeros.Const == nil {
		return nil, ir.NotSupported("a quantised table that is not constant")
	}
	t := &quantTable{data: data.Const, scales: scales.Const, along: along, block: c.Int("block_size", 128), bits: c.Int("bits", 4), per: 1}
	if zeros != nil {
		t.zeros = zeros.Const
	}
	if t.data.Elem == loop.U8 {
		if t.bits != 2 && t.bits != 4 && t.bits != 8 {
			return nil, fmt.Errorf("%d bits", t.bits)
		}
		t.per, t.none = 8/t.bits, float32(int64(1)<<(t.bits-1))
	}
	if t.block == 0 {
		t.block = t.shape()[along]
	}
	return t, t.check()
}

// shape is the table's shape in numbers.
func (t *quantTable) shape() []int64 {
	s := append([]int64{}, t.data.Shape...)
	s[len(s)-1] *= t.per
	return s
}

func (t *quantTable) check() error {
	if t.per > 1 && (t.data.Elem != loop.U8 || t.zeros != nil && t.zeros.Elem != loop.U8) {
		return fmt.Errorf("%d bits packed in %v", t.bits, t.data.Elem)
	}
	shape := t.shape()
	if t.block < 1 || len(t.scales.Shape) != len(shape) {
		return fmt.Errorf("blocks of %d, scales %v for data %v", t.block, t.scales.Shape, shape)
	}
	for a, n := range shape {
		if a == t.along {
			n = (n + t.block - 1) / t.block
		}
		if s := t.scales.Shape[a]; s != n && s != 1 {
			return fmt.Errorf("scales %v for data %v in blocks of %d along axis %d", t.scales.Shape, shape, t.block, t.along)
		}
		if t.zeros == nil {
			continue
		}
		want := t.scales.Shape[a]
		if a == len(shape)-1 {
			want = (want + t.per - 1) / t.per
		}
		if len(t.zeros.Shape) != len(shape) || t.zeros.Shape[a] != want {
			return fmt.Errorf("zero points %v for scales %v", t.zeros.Shape, t.scales.Shape)
		}
	}
	return nil
}

// values are the table's numbers as f32.
func (t *quantTable) values() *ir.Tensor {
	out := ir.NewTensor(loop.F32, t.shape()...)
	last := len(out.Shape) - 1
	f, width, blocks := ir.Slice[float32](out), out.Shape[last], t.scales.Shape[last]
	row := int64(0)
	forEach(out.Shape[:last], func(idx []int64) {
		of := t.scaleRow(idx)
		for j := range width {
			k := j
			if t.along == last {
				k /= t.block
			}
			k = min(k, blocks-1)
			zero := t.none
			if t.zeros != nil {
				zero = t.number(t.zeros, of, k)
			}
			f[row*width+j] = (t.number(t.data, row, j) - zero) * float32(t.scales.At(int(of*blocks+k)).F)
		}
		row++
	})
	return out
}

// scaleRow is which row of scales belongs to a row of numbers.
func (t *quantTable) scaleRow(idx []int64) int64 {
	at := int64(0)
	for a, i := range idx {
		if a == t.along {
			i /= t.block
		}
		at = at*t.scales.Shape[a] + min(i, t.scales.Shape[a]-1)
	}
	return at
}

// number is number j of a row of packed data.
func (t *quantTable) number(x *ir.Tensor, row, j int64) float32 {
	width := x.Shape[len(x.Shape)-1]
	if t.per > 1 {
		return float32(field(x.Data[row*width:], j, t.bits))
	}
	s := x.At(int(row*width + j))
	return float32(s.F) + float32(s.I) // one of them is 0
}
