package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// AttentionAttr: scores are multiplied by Scale and, if Cap is not 0, held within it by Cap tanh(x / Cap) before the mask is added; with
// Guard, a row whose scores are all -Inf gives zeros in place of NaN.
type AttentionAttr struct {
	Scale, Cap float32
	Guard      bool
}

// Attention is softmax(q k' * scale + mask) v (Vaswani et al., 2017): q of shape [batch, heads, m, d], k of [batch, heads, s, d],
// v of [batch, heads, s, e], mask absent or f32 that broadcasts to [batch, heads, m, s]. A score is one chain of fused
// multiply-adds over d, an element of the result one over s; a row of scores is normalised as a whole, whatever its length.
var Attention = ir.NewOp("attention", "softmax(q k' * scale + mask) v", AttentionAttr{})

func init() {
	Attention.Infer = inferAttention
	Attention.Eval = evalAttention
}

func inferAttention(n *ir.Node) error {
	if len(n.In) != 4 {
		return fmt.Errorf("%d inputs, want q, k, v, mask", len(n.In))
	}
	q, k, v, mask := n.In[0], n.In[1], n.In[2], n.In[3]
	for _, x := range n.In[:3] {
		if x.Elem != loop.F32 {
			return ir.NotSupported("Attention of %v", x.Elem)
		}
		if len(x.Shape) != 4 {
			return fmt.Errorf("an operand is %v of rank %d", x.Elem, len(x.Shape))
		}
	}
	for _, p := range [][2]sym.Dim{{q.Shape[0], k.Shape[0]}, {q.Shape[0], v.Shape[0]}, {q.Shape[1], k.Shape[1]},
		{q.Shape[1], v.Shape[1]}, {q.Shape[3], k.Shape[3]}, {k.Shape[2], v.Shape[2]}} {
		if err := ir.Equal(p[0], p[1]); err != nil {
			return err
		}
	}
	if mask != nil {
		full := []sym.Dim{q.Shape[0], q.Shape[1], q.Shape[2], k.Shape[2]}
		s, err := ir.BroadcastShapes(full, mask.Shape)
		if err != nil || !ir.SameShape(s, full) || mask.Elem != loop.F32 {
			return fmt.Errorf("mask of %v%v for scores of %v", mask.Elem, mask.Shape, full)
		}
	}
	n.Out[0].Elem = loop.F32
	n.Out[0].Shape = []sym.Dim{q.Shape[0], q.Shape[1], q.Shape[2], v.Shape[3]}
	return nil
}

func evalAttention(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	a := n.Attr.(AttentionAttr)
	q, k, v, mask := in[0], in[1], in[2], in[3]
	m, s, e := q.Shape[2], k.Shape[2], v.Shape[3]
	kt := copyStrided(k, []int64{k.Shape[0], k.Shape[1], k.Shape[3], s}, 0,
		[]int64{k.Shape[1] * s * k.Shape[3], s * k.Shape[3], 1, k.Shape[3]})
	scores := matmul(q, kt, []int64{q.Shape[0], q.Shape[1], m, s})
	if mask != nil {
		mask = broadcastTo(mask, scores.Shape)
	}
	kernel := SoftmaxRow("softmax", a, mask != nil)
	for r := range q.Shape[0] * q.Shape[1] * m {
		bufs := []loop.Buffer{rowOf(scores, r, s)}
		if mask != nil {
			bufs = append(bufs, rowOf(mask, r, s))
		}
		if err := kernel.Run(int(s), append(bufs, rowOf(scores, r, s))...); err != nil {
			return nil, err
		}
	}
	return []*ir.Tensor{matmul(scores, v, []int64{q.Shape[0], q.Shape[1], m, e})}, nil
}

func broadcastTo(t *ir.Tensor, shape []int64) *ir.Tensor {
	from, strides := contiguous(t.Shape), make([]int64, len(shape))
	for i, d := range t.Shape {
		if d != 1 {
			strides[len(shape)-len(from)+i] = from[i]
		}
	}
	return copyStrided(t, shape, 0, strides)
}

// splitHeads makes [batch, s, heads*d] into [batch, heads, s, d]; four-dimensional values stay.
func splitHeads(c *ir.Import, v *ir.Value, heads int64) (*ir.Value, error) {
	if len(v.Shape) == 4 {
		return v, nil
	}
	if len(v.Shape) != 3 || heads <= 0 {
		return nil, fmt.Errorf("an operand of rank %d with %d heads", len(v.Shape), heads)
	}
	d, ok := v.Shape[2].Div(sym.Const(heads))
	if !ok {
		return nil, fmt.Errorf("%d heads do not divide the width %v", heads, v.Shape[2])
	}
	r, err := reshape(c, v, []sym.Dim{v.Shape[0], v.Shape[1], sym.Const(heads), d})
	if err != nil {
		return nil, err
	}
	return transpose(c, r, 0, 2, 1, 3)
}

// additiveMask turns a bool mask into 0 where true and -Inf where false.
func additiveMask(c *ir.Import, m *ir.Value) (*ir.Value, error) {
	if m == nil || m.Elem != loop.Bool {
		return m, nil
	}
	return c.Emit1(Where, nil, m, ir.Scalar(loop.F32, 0), ir.Scalar(loop.F32, math.Inf(-1)))
}
