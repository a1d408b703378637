package op

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Where is c ? a : b, with broadcasting.
var Where = ir.NewOp("where", "c ? a : b", nil)

func init() {
	Where.Infer = func(n *ir.Node) error {
		if n.In[0].Elem != loop.Bool || n.In[1].Elem != n.In[2].Elem {
			return mixed(n)
		}
		shape, err := ir.BroadcastShapes(n.In[0].Shape, n.In[1].Shape, n.In[2].Shape)
		n.Out[0].Elem, n.Out[0].Shape = n.In[1].Elem, shape
		return err
	}
	Where.Elem = func(b *loop.Builder, _ *ir.Node, in []loop.Val) loop.Val { return b.Do(loop.Select, in...) }
	Where.Dim = func(_ *ir.Node, in []sym.Dim) (sym.Dim, bool) {
		c, ok := in[0].Const()
		if c != 0 {
			return in[1], ok
		}
		return in[2], ok
	}
	ir.FromONNX("", "Where", 9, readWhere)
}

func readWhere(c *ir.Import) error {
	in, err := c.NeedAll(3)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	y := b.do(Where, nil, in[0], b.numbers(in[1]), b.numbers(in[2]))
	if in[1].Elem == loop.String && in[2].Elem == loop.String {
		y = b.do(BitCast, PlainAttr{To: loop.String}, y)
	}
	return b.done(y)
}
