package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// WindowAttr: heads of D (queries and keys) and E (values) elements lie one behind the other in the rows of the inputs, from columns
// QAt, KAt and VAt on. Scale and Guard are AttentionAttr's.
type WindowAttr struct {
	Heads, D, E   int64
	QAt, KAt, VAt int64
	Scale         float32
	Guard         bool
}

// WindowAttention is Attention within windows of an image's rows: q, k, v of shape [batch, rows, columns]; a table of constants
// [windows, m] that names the rows of each window, every row once; a mask of constants [windows or 1, heads or 1, m, m] or nil. The
// result is [batch, rows, heads*E], its rows where the queries' are (Liu et al., 2021).
var WindowAttention = ir.NewOp("windowattention", "attention within windows of rows", WindowAttr{})

func init() {
	WindowAttention.Infer = inferWindow
	WindowAttention.Eval = evalWindow
}

func inferWindow(n *ir.Node) error {
	if len(n.In) != 5 || n.In[3] == nil || n.In[3].Const == nil || n.In[3].Elem != loop.I64 || len(n.In[3].Shape) != 2 {
		return fmt.Errorf("%d inputs, want q, k, v, a constant table, a mask", len(n.In))
	}
	a, q, table := n.Attr.(WindowAttr), n.In[0], n.In[3].Const
	for i, v := range n.In[:3] {
		end := []int64{a.QAt + a.Heads*a.D, a.KAt + a.Heads*a.D, a.VAt + a.Heads*a.E}[i]
		if v.Elem != loop.F32 || len(v.Shape) != 3 || dimOr(v.Shape[2], 0) < end || !v.Shape[1].Is(int64(table.Len())) || v.Shape[0] != q.Shape[0] {
			return fmt.Errorf("operand %d is %v%v for %d rows and %d columns", i, v.Elem, v.Shape, table.Len(), end)
		}
	}
	seen := make([]bool, table.Len())
	for _, r := range ir.Slice[int64](table) {
		if r < 0 || int(r) >= len(seen) || seen[r] {
			return fmt.Errorf("row %d of %d in the table of windows", r, len(seen))
		}
		seen[r] = true
	}
	if mask := n.In[4]; mask != nil {
		s := mask.Shape
		m := table.Shape[1]
		if mask.Elem != loop.F32 || len(s) != 4 || !s[0].Is(1) && !s[0].Is(table.Shape[0]) || !s[1].Is(1) && !s[1].Is(a.Heads) || !s[2].Is(m) || !s[3].Is(m) {
			return fmt.Errorf("mask of %v%v", mask.Elem, s)
		}
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(q.Shape[:2], a.Heads*a.E)
	return nil
}

// evalWindow gathers the windows, applies Attention's meaning and scatters.
func evalWindow(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	a, table := n.Attr.(WindowAttr), in[3]
	batch, rows := in[0].Shape[0], in[0].Shape[1]
	windows, m := table.Shape[0], table.Shape[1]
	place := ir.Slice[int64](table)
	gather := func(x *ir.Tensor, at, d int64) *ir.Tensor {
		out := ir.NewTensor(loop.F32, batch*windows, a.Heads, m, d)
		from, to := ir.Slice[float32](x), ir.Slice[float32](out)
		for i := range batch * windows * a.Heads * m {
			r, h, w, b := i%m, i/m%a.Heads, i/m/a.Heads%windows, i/m/a.Heads/windows
			start := (b*rows+place[w*m+r])*x.Shape[2] + at + h*d
			copy(to[i*d:(i+1)*d], from[start:])
		}
		return out
	}
	var mask *ir.Tensor
	if in[4] != nil {
		one := broadcastTo(in[4], []int64{windows, a.Heads, m, m})
		mask = ir.NewTensor(loop.F32, batch*windows, a.Heads, m, m)
		for b := range batch {
			copy(mask.Data[int64(len(one.Data))*b:], one.Data)
		}
	}
	inner := &ir.Node{Op: Attention, Attr: AttentionAttr{a.Scale, a.Guard}}
	y, err := evalAttention(inner, nil, []*ir.Tensor{gather(in[0], a.QAt, a.D), gather(in[1], a.KAt, a.D), gather(in[2], a.VAt, a.E), mask})
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(loop.F32, batch, rows, a.Heads*a.E)
	from, to := ir.Slice[float32](y[0]), ir.Slice[float32](out)
	for i := range batch * windows * a.Heads * m {
		r, h, w, b := i%m, i/m%a.Heads, i/m/a.Heads%windows, i/m/a.Heads/windows
		copy(to[(b*rows+place[w*m+r])*a.Heads*a.E+h*a.E:][:a.E], from[i*a.E:])
	}
	return []*ir.Tensor{out}, nil
}
