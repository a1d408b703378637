package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/runtime/plain"
)

// SplitPartAttr: which part along which axis; Count is how long it is.
type SplitPartAttr struct {
	Axis, Part int64
	Count      ir.Count
}

// SplitPart is one of the parts that the second input, the parts' sizes, cuts an axis of the first into.
var SplitPart = ir.NewOp("splitpart", "a part of an axis cut at places that depend on data", SplitPartAttr{})

func init() {
	SplitPart.Infer = func(n *ir.Node) error {
		a, v, sizes := n.Attr.(SplitPartAttr), n.In[0], n.In[1]
		if a.Axis < 0 || int(a.Axis) >= len(v.Shape) || len(sizes.Shape) != 1 || sizes.Elem != loop.I64 && sizes.Elem != loop.I32 {
			return fmt.Errorf("parts of %v%v along axis %d of %d", sizes.Elem, sizes.Shape, a.Axis, len(v.Shape))
		}
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, dims(v.Shape[:a.Axis], a.Count.Dim(), v.Shape[a.Axis+1:])
		return nil
	}
	SplitPart.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(SplitPartAttr)
		return ir.PlainCall{Func: "SplitPart", Ints: []int64{a.Axis, a.Part}, Count: a.Count}
	}
	SplitPart.Run = plain.SplitPart
}

// splitByData makes a sequence of as many parts as there are sizes, which only the run knows.
func (b *builder) splitByData(v, sizes *ir.Value, axis int) error {
	n, ok := sizes.Shape[0].Const()
	if !ok || n > maxUnrolled {
		return ir.NotSupported("a sequence of %v entries", sizes.Shape[0])
	}
	out := list()
	for i := range n {
		a := SplitPartAttr{int64(axis), i, b.c.Graph.NewCount(v.Shape[axis])}
		out.List = append(out.List, b.do(SplitPart, a, v, sizes))
	}
	return b.done(out)
}
