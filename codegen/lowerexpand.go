package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// expandBytes is from which size on an image is not made in memory between the layer that it is the result of and a depthwise convolution:
// smaller ones stay in cache, and their lines are too short to walk all of the layer's weights for each.
const expandBytes = 256 << 10

// inDepthwise reports whether the lines of a Linear's result are made inside the only depthwise convolution that reads it, as the
// expansion of an inverted residual is (Sandler et al., "MobileNetV2", 2018).
func (l *lowering) inDepthwise(n *ir.Node) bool {
	if n.Op != op.Linear || n.In[3] != nil || len(n.In[0].Shape) != 4 || l.hasInner(n) {
		return false
	}
	u := l.onlyReader(n.Out[0])
	if u == nil || u.Op != op.Depthwise && u.Op != op.DepthwiseMeans || u.In[0] != n.Out[0] {
		return false
	}
	elements, ok := sym.Product(n.Out[0].Shape[1:]).Const()
	return ok && elements*4 >= expandBytes && fewLines(u.Attr.(op.DepthwiseAttr))
}

// maxReach is the most places that a window of an image whose lines are kept may reach over, along an axis, or be outside.
const maxReach = 64

// fewLines reports whether the lines of an image that a window has, and what lies beside them, are few.
func fewLines(a op.DepthwiseAttr) bool {
	for i, k := range a.Kernel.List() {
		if pads := a.Pads.List(); (k-1)*a.Dilations.List()[i] > maxReach || pads[i] > maxReach || pads[2+i] > maxReach {
			return false
		}
	}
	return true
}

// expandArgs gives a depthwise convolution the layer that makes its image.
func (l *lowering) expandArgs(c *Call, n *ir.Node) {
	lin := l.linearCall(n)
	c.arg("Layer", Expr{Type: "rt.Linear", List: lin.Args})
	c.Kind = lin.Kind + "+" + c.Kind
	c.From = append(c.From, n.From...)
	c.Flops = c.Flops.Add(lin.Flops)
}
