package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/sym"
)

// TransposeAttr: axis i of the result is axis Perm[i] of the input.
type TransposeAttr struct{ Perm ir.IntList }

// Transpose permutes axes.
var Transpose = ir.NewOp("transpose", "permutes axes", TransposeAttr{})

func init() {
	Transpose.Infer = func(n *ir.Node) error {
		v, perm := n.In[0], n.Attr.(TransposeAttr).Perm.List()
		if len(perm) != len(v.Shape) {
			return fmt.Errorf("perm %v for rank %d", perm, len(v.Shape))
		}
		seen := make([]bool, len(perm))
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, make([]sym.Dim, len(perm))
		for i, p := range perm {
			if p < 0 || p >= int64(len(perm)) || seen[p] {
				return fmt.Errorf("%v is not a permutation", perm)
			}
			seen[p] = true
			n.Out[0].Shape[i] = v.Shape[p]
		}
		n.Out[0].Dims = transposedDims(v, perm)
		return nil
	}
	Transpose.Eval = func(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		perm := n.Attr.(TransposeAttr).Perm.List()
		from := contiguous(in[0].Shape)
		shape, strides := make([]int64, len(perm)), make([]int64, len(perm))
		for i, p := range perm {
			shape[i], strides[i] = in[0].Shape[p], from[p]
		}
		return []*ir.Tensor{copyStrided(in[0], shape, 0, strides)}, nil
	}
	ir.FromONNX("", "Transpose", 1, func(c *ir.Import) error {
		v, err := c.Need(0)
		if err != nil {
			return err
		}
		perm, ok := c.Ints("perm")
		if !ok {
			for i := len(v.Shape) - 1; i >= 0; i-- {
				perm = append(perm, int64(i))
			}
		}
		return c.Return1(transpose(c, v, perm...))
	})
}

// transposedDims are the contents of v with its axes permuted, or nil.
func transposedDims(v *ir.Value, perm []int64) []sym.Dim {
	known := v.Contents()
	if known == nil {
		return nil
	}
	from := contiguous(ir.ConstShape(v.Shape))
	shape := make([]int64, len(perm))
	for i, p := range perm {
		shape[i], _ = v.Shape[p].Const()
	}
	out := make([]sym.Dim, 0, len(known))
	forEach(shape, func(idx []int64) {
		at := int64(0)
		for i, p := range perm {
			at += idx[i] * from[p]
		}
		out = append(out, known[at])
	})
	return out
}

func transpose(c *ir.Import, v *ir.Value, perm ...int64) (*ir.Value, error) {
	return c.Emit1(Transpose, TransposeAttr{ir.MakeInts(perm...)}, v)
}

// contiguous are the strides, in elements, of a row-major tensor.
func contiguous(shape []int64) []int64 {
	out := make([]int64, len(shape))
	step := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = step
		step *= shape[i]
	}
	return out
}

// copyStrided gathers a tensor of the given shape from offset and strides in t, in elements.
func copyStrided(t *ir.Tensor, shape []int64, offset int64, strides []int64) *ir.Tensor {
	out := ir.NewTensor(t.Elem, shape...)
	size := t.Elem.Size()
	idx := make([]int64, len(shape))
	at := offset
	for k := range int64(out.Len()) {
		copy(out.Data[k*size:(k+1)*size], t.Data[at*size:])
		for a := len(shape) - 1; a >= 0; a-- {
			idx[a]++
			at += strides[a]
			if idx[a] < shape[a] {
				break
			}
			at -= strides[a] * shape[a]
			idx[a] = 0
		}
	}
	return out
}
