package codegen

import (
	"errors"
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
	"mmc/runtime"
)

// Convolutions and pooling of images with the channels last.

// inConv reports whether windows' rows are made inside the only Linear or ByteLinear that reads them.
func (l *lowering) inConv(n *ir.Node) bool {
	if n.Op != op.Patches || len(n.In[0].Shape) > 5 {
		return false
	}
	u := l.onlyReader(n.Out[0])
	return u != nil && (u.Op == op.Linear && u.In[3] != n.Out[0] || u.Op == op.ByteLinear) && u.In[0] == n.Out[0]
}

// convArgs makes a Linear's call one of a convolution.
func (l *lowering) convArgs(c *Call, n *ir.Node) {
	c.Method, c.Type, c.Kind = "Conv", "rt.Conv", "conv"+c.Kind[len("linear"):]
	lin := Expr{Type: "rt.Linear"}
	for _, f := range c.Args {
		if f.Name != "M" && f.Name != "K" && f.Name != "A" {
			lin.List = append(lin.List, f)
		}
	}
	c.Args = nil
	c.arg("Linear", lin)
	l.imageArgs(c, n.In[0], n.Out[0], n.Attr.(op.Im2ColAttr))
}

// imageArgs adds the image x of the windows of out, channels last, and where these are.
func (l *lowering) imageArgs(c *Call, x, out *ir.Value, a op.Im2ColAttr) {
	last := len(x.Shape) - 1
	c.arg("Batch", dim(x.Shape[0]))
	c.arg("Channels", dim(x.Shape[last]))
	c.windows(x.Shape[1:last], out.Shape[1:last], a)
	c.arg("X", mem(l.buffer(x)))
}

// lowerGrouped makes the call of a convolution of groups of channels: each group's columns begin with a panel.
func (l *lowering) lowerGrouped(n *ir.Node) error {
	a, w, out := n.Attr.(op.DepthwiseAttr), n.In[1], n.Out[0]
	if w.Const == nil {
		return errors.New("weights of groups that are computed")
	}
	lin := Call{Kind: "grouped"}
	lin.arg("N", dim(w.Shape[1]))
	l.weightArgs(&lin, groupPanels(w, int(a.Groups)), n.In[2], Panels)
	lin.arg("C", mem(l.define(out)))
	l.activationArgs(&lin, a.Epilogue(), false, true)
	c := Call{Method: "Conv", Type: "rt.Conv", Kind: lin.Kind}
	c.arg("Linear", Expr{Type: "rt.Linear", List: lin.Args})
	c.arg("Groups", num(int(a.Groups)))
	l.imageArgs(&c, n.In[0], out, a.Windows())
	c.Flops = sym.Const(2).Mul(sym.Product(out.Shape)).Mul(w.Shape[0])
	l.emit(c)
	return nil
}

// groupPanels is w with columns of zeros behind each group's, so that the next ones begin with a panel.
func groupPanels(w *ir.Value, groups int) *ir.Value {
	k, n := int(w.Const.Shape[0]), int(w.Const.Shape[1])
	width := n / groups
	padded := (width + rt.Lanes - 1) / rt.Lanes * rt.Lanes
	if padded == width {
		return w
	}
	t := ir.NewTensor(w.Elem, int64(k), int64(groups*padded))
	from, to := ir.Slice[float32](w.Const), ir.Slice[float32](t)
	for at := 0; at < len(from); at += width {
		copy(to[at/width*padded:], from[at:at+width])
	}
	return ir.ConstValue(w.Name, t)
}

// lowerPatches makes the rows in memory, as the convolution's windows with the channels as a last spatial axis.
func (l *lowering) lowerPatches(n *ir.Node) error {
	x, a := n.In[0], n.Attr.(op.Im2ColAttr)
	last := len(x.Shape) - 1
	if last > 4 {
		return fmt.Errorf("windows over %d axes", last-1)
	}
	if last == 4 { // the channels as a spatial axis would be a fourth
		c := Call{Method: "Patches", Type: "rt.Conv", Kind: "im2col"}
		l.imageArgs(&c, x, n.Out[0], a)
		c.arg("Linear", Expr{Type: "rt.Linear", List: []Field{{"C", mem(l.define(n.Out[0]))}}})
		l.emit(c)
		return nil
	}
	one := func(list ir.IntList, v sym.Dim) []sym.Dim { return append(sym.Consts(list.List()...), v) }
	c := Call{Method: "Im2Col", Type: "rt.Im2Col", Kind: "im2col"}
	c.arg("Batch", dim(x.Shape[0]))
	c.arg("Channels", num(1))
	c.arg("In", spatial(x.Shape[1:], 1))
	c.arg("Windows", spatial(append(n.Out[0].Shape[1:last:last], sym.Const(1)), 1))
	c.arg("Kernel", spatial(one(a.Kernel, x.Shape[last]), 1))
	c.arg("Stride", spatial(one(a.Strides, sym.Const(1)), 1))
	c.arg("Dil", spatial(one(a.Dilations, sym.Const(1)), 1))
	c.arg("Pad", spatial(append(sym.Consts(a.Pads.List()[:last-1]...), sym.Const(0)), 0))
	c.arg("X", mem(l.buffer(x)))
	c.arg("Out", mem(l.define(n.Out[0])))
	l.emit(c)
	return nil
}

// someTaps is how many places a walk kernel takes at a time of a window that is too large for one.
const someTaps = 32

// taps makes the call that depthwise convolutions and pooling have in common: the geometry, what lies around the image, the kernels.
func (l *lowering) taps(n *ir.Node, k op.Taps, a op.Im2ColAttr, fill float32) *Call {
	x, out := n.In[0], n.Out[0]
	list := func(v ir.IntList) Expr { return pair(sym.Consts(v.List()[:2]...)) }
	c := &Call{Method: "Taps", Type: "rt.Taps", Kind: n.Op.Name}
	c.arg("Batch", dim(x.Shape[0]))
	c.arg("Channels", dim(x.Shape[3]))
	c.arg("In", pair(x.Shape[1:3]))
	c.arg("Windows", pair(out.Shape[1:3]))
	c.arg("Kernel", list(a.Kernel))
	c.arg("Stride", list(a.Strides))
	c.arg("Dil", list(a.Dilations))
	c.arg("Pad", list(a.Pads))
	if x.Def == nil || !l.inDepthwise(x.Def) {
		c.arg("X", mem(l.buffer(x)))
	}
	c.arg("Out", mem(l.define(out)))
	edged := false
	for _, p := range a.Pads.List() {
		if p != 0 && !edged {
			edged = true
			c.arg("Edge", mem(l.allocBytes(x.Shape[2].Mul(x.Shape[3]).Mul(sym.Const(4)))))
		}
	}
	if edged && fill != 0 {
		c.arg("Fill", text("rt.NegInf"))
	}
	places := ir.NumElements(a.Kernel.List())
	each, kernels := l.tapKernels(k, int(places))
	c.arg("Each", num(each))
	c.arg("Kernels", kernels)
	c.Flops = sym.Const(2 * places).Mul(sym.Product(out.Shape))
	return c
}

// tapKernels are how many places of a window a kernel takes, and the kernels that begin with some, go on, end, and do all.
func (l *lowering) tapKernels(k op.Taps, places int) (each int, kernels Expr) {
	kernel := func(n int, first, last bool) {
		k.Places, k.First, k.Last = n, first, last
		kernels.List = append(kernels.List, Field{"", num(l.kernel(k.Kernel()))})
	}
	kernels.Type = "[4]int"
	if places <= rt.MaxTaps {
		for range 3 {
			kernels.List = append(kernels.List, Field{"", num(-1)})
		}
		kernel(places, true, true)
		return places, kernels
	}
	kernel(someTaps, true, false)
	kernel(someTaps, false, false)
	kernel((places-1)%someTaps+1, false, true)
	kernels.List = append(kernels.List, Field{"", num(-1)})
	return someTaps, kernels
}

func (l *lowering) lowerDepthwise(n *ir.Node) {
	at, bias := n.Attr.(op.DepthwiseAttr), n.In[2]
	c := l.taps(n, op.Taps{Kind: "dot", Bias: bias != nil, Act: at.Epilogue()}, at.Windows(), 0)
	c.arg("W", mem(l.buffer(n.In[1])))
	if bias != nil {
		c.arg("Bias", mem(l.buffer(bias)))
	}
	c.Kind = "depthwise"
	if at.Act != "" {
		c.Kind += "+" + at.Act
	}
	if n.Op == op.DepthwiseMeans {
		width, _ := n.Out[0].Shape[2].Const()
		each, kernels := l.tapKernels(op.Taps{Kind: "sum", Divisor: float32(width)}, int(width))
		c.arg("Means", Expr{Type: "rt.LineMeans", List: []Field{{"Out", mem(l.define(n.Out[1]))}, {"Each", num(each)}, {"Kernels", kernels}}})
		c.Kind += "+means"
	}
	if x := n.In[0].Def; x != nil && l.inDepthwise(x) {
		l.expandArgs(c, x)
	}
	l.emit(*c)
}

func (l *lowering) lowerPoolLast(n *ir.Node) {
	a := n.Attr.(op.PoolAttr)
	k, fill := op.Taps{Kind: "sum", Divisor: float32(ir.NumElements(a.Kernel.List()))}, float32(0)
	if a.Sum {
		k.Divisor = 0
	}
	if a.Max {
		k, fill = op.Taps{Kind: "max"}, float32(math.Inf(-1))
	}
	l.emit(*l.taps(n, k, op.Im2ColAttr{Kernel: a.Kernel, Strides: a.Strides, Dilations: a.Dilations, Pads: a.Pads}, fill))
}

// lowerWinograd makes the call of a convolution by tiles.
func (l *lowering) lowerWinograd(n *ir.Node) {
	x, out, a := n.In[0], n.Out[0], n.Attr.(op.WinogradAttr)
	c := Call{Method: "Winograd", Type: "rt.Winograd", Kind: "winograd"}
	lin := Call{Kind: c.Kind}
	lin.arg("N", dim(out.Shape[3]))
	l.layerArgs(&lin, n, a.Epilogue(), false)
	c.Kind = lin.Kind
	c.arg("Linear", Expr{Type: "rt.Linear", List: lin.Args})
	c.arg("Batch", dim(x.Shape[0]))
	c.arg("Channels", dim(x.Shape[3]))
	c.arg("In", pair(x.Shape[1:3]))
	c.arg("Windows", pair(out.Shape[1:3]))
	c.arg("Pad", pair(sym.Consts(a.Pads.List()[:2]...)))
	c.arg("Before", num(l.kernel(op.WinogradBefore())))
	c.arg("After", num(l.kernel(op.WinogradAfter())))
	c.arg("X", mem(l.buffer(x)))
	tiles := x.Shape[0].Mul(out.Shape[1].CeilDiv(sym.Const(2))).Mul(out.Shape[2].CeilDiv(sym.Const(2)))
	c.Flops = sym.Const(2).Mul(tiles).Mul(n.In[1].Shape[0]).Mul(out.Shape[3])
	l.emit(c)
}

func pair(ds []sym.Dim) Expr {
	return Expr{Type: "[2]int", List: []Field{{"", dim(ds[0])}, {"", dim(ds[1])}}}
}
