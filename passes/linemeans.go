package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// LineMeans lets a convolution sum the lines of its result up while they are in cache, for the mean of an image that squeeze-and-excite
// starts with.
var LineMeans = Rewrite("linemeans", "takes the means of an image's lines where the image is made", Rule{"linemeans", func() *ir.Op { return op.Depthwise }, lineMeans})

func lineMeans(c *Context, n *ir.Node) *ir.Patch {
	width, ok := n.Out[0].Shape[2].Const()
	if !ok {
		return nil
	}
	for _, u := range c.Users(n.Out[0]) {
		if u.Op != op.PoolLast || u.Attr.(op.PoolAttr) != wholePool(1, width, false) {
			continue
		}
		p := ir.NewPatch(n, u)
		out := p.Emit(op.DepthwiseMeans, n.Attr, n.In...)
		return p.Replace(n.Out[0], out[0]).Replace(u.Out[0], out[1])
	}
	return nil
}
