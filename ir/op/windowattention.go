package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// WindowAttr: heads of D (queries and keys) and E (values) elements lie in the rows of the inputs from columns QAt, KAt and VAt on, one
// behind the other or, if Step is not 0, every Step columns. Scale and Guard are AttentionAttr's.
type WindowAttr struct {
	Heads, D, E   int64
	QAt, KAt, VAt int64
	Step          int64
	Scale         float32
	Guard         bool
}

// HeadStep is from how many columns on the next head of size elements lies.
func (a WindowAttr) HeadStep(size int64) int64 {
	if a.Step != 0 {
		return a.Step
	}
	return size
}

// WindowAttention is Attention within windows of an image's rows: q, k, v of shape [batch, rows, columns]; a table [windows, m] that names
// the rows of each window, every row once; a mask [windows or 1, heads or 1, m, m] or nil. The result is [batch, rows, heads*E], its rows
// where the queries' are (Liu et al., 2021). Where windows reach over the image, the table has -1, and two more inputs of constants
// [columns] are the rows of k and v there; queries there have no result. A table that is computed must be right.
var WindowAttention = ir.NewOp("windowattention", "attention within windows of rows", WindowAttr{})

func init() {
	WindowAttention.Infer = inferWindow
	WindowAttention.Eval = evalWindow
}

func inferWindow(n *ir.Node) error {
	if len(n.In) != 5 && len(n.In) != 7 || n.In[3] == nil || n.In[3].Elem != loop.I64 || len(n.In[3].Shape) != 2 || len(n.In[0].Shape) != 3 {
		return fmt.Errorf("%d inputs, want q, k, v, a table, a mask and what is around the image", len(n.In))
	}
	a, q, table := n.Attr.(WindowAttr), n.In[0], n.In[3]
	rows := q.Shape[1]
	if table.Const != nil {
		count, err := WindowRows(table.Const, len(n.In) == 7)
		if err != nil {
			return err
		}
		rows = sym.Const(count)
	}
	for i, v := range n.In[:3] {
		at, size := []int64{a.QAt, a.KAt, a.VAt}[i], []int64{a.D, a.D, a.E}[i]
		end := at + (a.Heads-1)*a.HeadStep(size) + size
		if v.Elem != loop.F32 || len(v.Shape) != 3 || dimOr(v.Shape[2], 0) < end || v.Shape[1] != rows || v.Shape[0] != q.Shape[0] {
			return fmt.Errorf("operand %d is %v%v for %v rows and %d columns", i, v.Elem, v.Shape, rows, end)
		}
		if len(n.In) == 7 && i > 0 {
			if pad := n.In[4+i]; pad == nil || pad.Const == nil || pad.Elem != loop.F32 || len(pad.Shape) != 1 || dimOr(pad.Shape[0], 0) < end {
				return fmt.Errorf("what is around the image for operand %d", i)
			}
		}
	}
	if mask := n.In[4]; mask != nil {
		s := mask.Shape
		m := table.Shape[1]
		if mask.Elem != loop.F32 || len(s) != 4 || !s[0].Is(1) && s[0] != table.Shape[0] || !s[1].Is(1) && !s[1].Is(a.Heads) || s[2] != m || s[3] != m {
			return fmt.Errorf("mask of %v%v", mask.Elem, s)
		}
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(q.Shape[:2], a.Heads*a.E)
	return nil
}

// WindowRows is how many rows a table names, each once, beside those around the image if there are any.
func WindowRows(table *ir.Tensor, around bool) (int64, error) {
	list := ir.Slice[int64](table)
	seen := make([]bool, len(list))
	rows := int64(0)
	for _, r := range list {
		if r == -1 && around {
			continue
		}
		if r < 0 || int(r) >= len(seen) || seen[r] {
			return 0, fmt.Errorf("row %d of %d in the table of windows", r, len(seen))
		}
		seen[r] = true
		rows++
	}
	for r, ok := range seen[:rows] {
		if !ok {
			return 0, fmt.Errorf("no window has row %d of %d", r, rows)
		}
	}
	return rows, nil
}

// evalWindow gathers the windows, applies Attention's meaning and scatters.
func evalWindow(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	a, table := n.Attr.(WindowAttr), in[3]
	batch, rows := in[0].Shape[0], in[0].Shape[1]
	windows, m := table.Shape[0], table.Shape[1]
	place := ir.Slice[int64](table)
	around := [2]*ir.Tensor{}
	copy(around[:], in[5:])
	gather := func(x, around *ir.Tensor, at, d int64) *ir.Tensor {
		out := ir.NewTensor(loop.F32, batch*windows, a.Heads, m, d)
		from, to := ir.Slice[float32](x), ir.Slice[float32](out)
		for i := range batch * windows * a.Heads * m {
			r, h, w, b := i%m, i/m%a.Heads, i/m/a.Heads%windows, i/m/a.Heads/windows
			if p := place[w*m+r]; p >= 0 {
				copy(to[i*d:(i+1)*d], from[(b*rows+p)*x.Shape[2]+at+h*a.HeadStep(d):])
			} else if around != nil {
				copy(to[i*d:(i+1)*d], ir.Slice[float32](around)[at+h*a.HeadStep(d):])
			}
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
	inner := &ir.Node{Op: Attention, Attr: AttentionAttr{Scale: a.Scale, Guard: a.Guard}}
	q, k, v := gather(in[0], nil, a.QAt, a.D), gather(in[1], around[0], a.KAt, a.D), gather(in[2], around[1], a.VAt, a.E)
	y, err := evalAttention(inner, nil, []*ir.Tensor{q, k, v, mask})
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(loop.F32, batch, rows, a.Heads*a.E)
	from, to := ir.Slice[float32](y[0]), ir.Slice[float32](out)
	for i := range batch * windows * a.Heads * m {
		r, h, w, b := i%m, i/m%a.Heads, i/m/a.Heads%windows, i/m/a.Heads/windows
		if p := place[w*m+r]; p >= 0 {
			copy(to[(b*rows+p)*a.Heads*a.E+h*a.E:][:a.E], from[i*a.E:])
		}
	}
	return []*ir.Tensor{out}, nil
}
