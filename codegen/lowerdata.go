package codegen

import (
	"fmt"
	"strconv"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Operators that move, pick or make data.

func (l *lowering) lowerGather(n *ir.Node) {
	data, idx, out := n.In[0], n.In[1], n.Out[0]
	axis := n.Attr.(op.GatherAttr).Axis
	size := sym.Const(data.Elem.Size())
	c := Call{Method: "Gather", Type: "rt.Gather", Kind: "gather"}
	c.arg("Outer", dim(sym.Product(data.Shape[:axis])))
	c.arg("Axis", dim(data.Shape[axis]))
	c.arg("Count", dim(sym.Product(idx.Shape)))
	c.arg("Inner", dim(sym.Product(data.Shape[axis+1:]).Mul(size)))
	l.gatherArgs(&c, data, idx, out)
}

func (l *lowering) gatherArgs(c *Call, data, idx, out *ir.Value) {
	c.arg("Data", mem(l.buffer(data)))
	c.arg("Index", mem(l.buffer(idx)))
	if idx.Elem == loop.I64 {
		c.arg("Wide", text("true"))
	}
	c.arg("Out", mem(l.define(out)))
	l.emit(*c)
}

func (l *lowering) lowerGatherND(n *ir.Node) {
	data, idx, out := n.In[0], n.In[1], n.Out[0]
	k, _ := idx.Shape[len(idx.Shape)-1].Const()
	size := data.Elem.Size()
	strides := bytesOf(contiguous(Mem{}, data.Shape).strides, size)
	c := Call{Method: "Gather", Type: "rt.Gather", Kind: "gathernd"}
	c.arg("Outer", num(1))
	c.arg("Axes", num(int(k)))
	c.arg("Dims", ints(data.Shape[:k]))
	c.arg("Stride", ints(strides[:k]))
	c.arg("Count", dim(sym.Product(idx.Shape[:len(idx.Shape)-1])))
	c.arg("Inner", dim(sym.Product(data.Shape[k:]).Mul(sym.Const(size))))
	l.gatherArgs(&c, data, idx, out)
}

func (l *lowering) lowerConcat(n *ir.Node) {
	out := n.Out[0]
	for i, part := range l.parts(n) {
		v := n.In[i]
		switch from := l.view(v); {
		case i == 0 && (l.cache(out) || l.cache(l.overwritten(out))):
			l.emitCopy("Carry", v, from, part)
		case l.cache(out) && l.putByAttention(out, from, part):
		case !from.is(part):
			l.emitMove(v, from, part)
		}
	}
}

// writesRows reports whether a node writes rows into a cache, from a place of each batch entry's own on, and never around its end.
func writesRows(n *ir.Node) bool {
	return n.Op == op.TensorScatter && len(n.In) == 3 && n.Attr.(op.PlainAttr).Ints.List()[1] == 0
}

// overwritten is the cache with the rows that are written into it, if that is all that v is for; nil if not.
func (l *lowering) overwritten(v *ir.Value) *ir.Value {
	if u := l.onlyReader(v); u != nil && writesRows(u) && u.In[0] == v {
		return u.Out[0]
	}
	return nil
}

func (l *lowering) lowerTensorScatter(n *ir.Node) {
	cache, fresh, start := n.In[0], n.In[1], n.In[2]
	to, from := l.joined(n.Out[0]), l.view(fresh)
	if old := l.view(cache); !old.is(to) {
		l.emitMove(cache, old, to)
	}
	axis, size := n.Attr.(op.PlainAttr).Ints.List()[0], cache.Elem.Size()
	c := Call{Method: "Put", Type: "rt.Put", Kind: n.Op.Name}
	c.arg("Rows", moveExpr(fresh.Shape, size, from, to))
	c.arg("Start", mem(l.buffer(start)))
	c.arg("Wide", text(fmt.Sprint(start.Elem == loop.I64)))
	c.arg("Step", dim(to.strides[axis].Mul(sym.Const(size))))
	c.arg("Count", dim(fresh.Shape[axis]))
	c.arg("Size", dim(cache.Shape[axis]))
	l.emit(c)
}

func (l *lowering) lowerGatherElements(n *ir.Node) {
	data, idx := n.In[0], n.In[1]
	axis := n.Attr.(op.GatherElementsAttr).Axis
	c := Call{Method: "GatherElements", Type: "rt.GatherElements", Kind: "gatherelements"}
	c.arg("Outer", dim(sym.Product(data.Shape[:axis])))
	c.arg("Axis", dim(data.Shape[axis]))
	c.arg("Count", dim(idx.Shape[axis]))
	c.arg("Inner", dim(sym.Product(data.Shape[axis+1:])))
	c.arg("Size", num(int(data.Elem.Size())))
	c.arg("Data", mem(l.buffer(data)))
	c.arg("Index", mem(l.buffer(idx)))
	c.arg("Out", mem(l.define(n.Out[0])))
	c.arg("Wide", text(fmt.Sprint(idx.Elem == loop.I64)))
	l.emit(c)
}

// spatial are the numbers of up to three spatial axes; missing leading ones are filled.
func spatial(ds []sym.Dim, fill int64) Expr {
	out := sym.Consts(fill, fill, fill)
	copy(out[3-len(ds):], ds)
	return triple(out)
}

// windows adds what convolutions and poolings have in common.
func (c *Call) windows(in, win []sym.Dim, a op.Im2ColAttr) {
	c.arg("In", spatial(in, 1))
	c.arg("Windows", spatial(win, 1))
	c.arg("Kernel", spatial(sym.Consts(a.Kernel.List()...), 1))
	c.arg("Stride", spatial(sym.Consts(a.Strides.List()...), 1))
	c.arg("Dil", spatial(sym.Consts(a.Dilations.List()...), 1))
	c.arg("Pad", spatial(sym.Consts(a.Pads.List()[:len(in)]...), 0))
}

func (l *lowering) lowerIm2Col(n *ir.Node) error {
	x, a := n.In[0], n.Attr.(op.Im2ColAttr)
	if r := len(x.Shape) - 2; r > 3 {
		return fmt.Errorf("a convolution over %d axes", r)
	}
	win, err := op.Windows(x.Shape[2:], a)
	if err != nil {
		return err
	}
	c := Call{Method: "Im2Col", Type: "rt.Im2Col", Kind: "im2col"}
	c.arg("Batch", dim(x.Shape[0]))
	c.arg("Channels", dim(x.Shape[1]))
	c.windows(x.Shape[2:], win, a)
	c.arg("X", mem(l.buffer(x)))
	c.arg("Out", mem(l.define(n.Out[0])))
	l.emit(c)
	return nil
}

func (l *lowering) lowerPool(n *ir.Node) error {
	x, a := n.In[0], n.Attr.(op.PoolAttr)
	in := x.Shape[2:]
	win, err := op.PoolWindows(in, a)
	if err != nil {
		return err
	}
	c := Call{Method: "Pool", Type: "rt.Pool", Kind: "pool"}
	c.arg("Planes", dim(x.Shape[0].Mul(x.Shape[1])))
	c.windows(in, win, op.Im2ColAttr{Kernel: a.Kernel, Strides: a.Strides, Dilations: a.Dilations, Pads: a.Pads})
	c.arg("PadEnd", spatial(sym.Consts(a.Pads.List()[len(in):]...), 0))
	c.arg("Max", text(fmt.Sprint(a.Max)))
	c.arg("CountPad", text(fmt.Sprint(a.CountPad)))
	c.arg("X", mem(l.buffer(x)))
	c.arg("Out", mem(l.define(n.Out[0])))
	l.emit(c)
	return nil
}

func (l *lowering) lowerTopK(n *ir.Node) {
	x, a := n.In[0], n.Attr.(op.TopKAttr)
	last := len(x.Shape) - 1
	c := Call{Method: "TopK", Kind: "topk"}
	c.arg("", mem(l.buffer(x)))
	c.arg("", mem(l.define(n.Out[0])))
	c.arg("", mem(l.define(n.Out[1])))
	c.arg("", dim(sym.Product(x.Shape[:last])))
	c.arg("", dim(x.Shape[last]))
	c.arg("", dim(n.Out[0].Shape[last]))
	c.arg("", text("rt."+strings.ToUpper(x.Elem.String())))
	c.arg("", text(fmt.Sprint(a.Least)))
	l.emit(c)
}

func (l *lowering) lowerEmbedding(n *ir.Node) {
	out := n.Out[0]
	shape := out.Shape[:len(out.Shape)-1]
	tables, index, stride := Expr{Type: "[4]rt.Ptr"}, Expr{Type: "[4]rt.Ptr"}, Expr{Type: "[4][8]int"}
	sizes, wide := Expr{Type: "[4]int"}, Expr{Type: "[4]bool"}
	for i := 0; i < len(n.In); i += 2 {
		table, idx := n.In[i], n.In[i+1]
		w := l.view(idx).broadcast(shape)
		tables.List = append(tables.List, Field{"", mem(l.buffer(table))})
		index.List = append(index.List, Field{"", mem(w.mem)})
		st := ints(bytesOf(w.strides, idx.Elem.Size()))
		st.Type = ""
		stride.List = append(stride.List, Field{"", st})
		sizes.List = append(sizes.List, Field{"", dim(table.Shape[0])})
		wide.List = append(wide.List, Field{"", text(fmt.Sprint(idx.Elem == loop.I64))})
	}
	c := Call{Method: "Embedding", Type: "rt.Embedding", Kind: "embedding"}
	c.arg("Kernel", num(l.kernel(op.EmbeddingRow(len(n.In)/2))))
	c.arg("Tables", tables)
	c.arg("Sizes", sizes)
	c.arg("Index", index)
	c.arg("Wide", wide)
	c.arg("Count", num(len(n.In)/2))
	c.arg("Rank", num(len(shape)))
	c.arg("Dims", ints(shape))
	c.arg("Stride", stride)
	c.arg("Width", dim(out.Shape[len(shape)]))
	c.arg("Out", mem(l.define(out)))
	l.emit(c)
}

func (l *lowering) lowerCumSum(n *ir.Node) {
	x, a := n.In[0], n.Attr.(op.CumSumAttr)
	last := len(x.Shape) - 1
	c := Call{Method: "CumSum", Kind: "cumsum"}
	c.arg("", mem(l.buffer(x)))
	c.arg("", mem(l.define(n.Out[0])))
	c.arg("", dim(sym.Product(x.Shape[:last])))
	c.arg("", dim(x.Shape[last]))
	c.arg("", text("rt."+strings.ToUpper(x.Elem.String())))
	c.arg("", text(fmt.Sprint(a.Exclusive)))
	c.arg("", text(fmt.Sprint(a.Reverse)))
	l.emit(c)
}

// resizeCoords are the runtime's numbers of the coordinate modes.
var resizeCoords = map[string]int{"half_pixel": 0, "pytorch_half_pixel": 1, "align_corners": 2, "asymmetric": 3}

func (l *lowering) lowerResize(n *ir.Node) {
	x, out, a := n.In[0], n.Out[0], n.Attr.(op.ResizeAttr)
	planes, h, w, channels := a.Planes(x.Shape)
	_, oh, ow, _ := a.Planes(out.Shape)
	c := Call{Method: "Resize", Type: "rt.Resize", Kind: "resize"}
	c.arg("Planes", dim(planes))
	c.arg("H", dim(h))
	c.arg("W", dim(w))
	c.arg("OH", dim(oh))
	c.arg("OW", dim(ow))
	c.arg("Channels", dim(channels))
	c.arg("Coord", num(resizeCoords[a.Coord]))
	if a.ScaleH != 0 || a.ScaleW != 0 {
		c.arg("Scales", Expr{Type: "[2]float64", List: []Field{{"", float(a.ScaleH)}, {"", float(a.ScaleW)}}})
	}
	places := 2
	if a.Mode == "cubic" {
		places = 4
		c.arg("Cubic", text("true"))
		c.arg("A", float(a.A))
	}
	c.arg("Kernel", num(l.kernel(op.ResizeKernel(places))))
	c.arg("X", mem(l.buffer(x)))
	c.arg("Out", mem(l.define(out)))
	l.emit(c)
}

// float is a number as an argument.
func float(v float32) Expr { return text(strconv.FormatFloat(float64(v), 'g', -1, 64)) }

func (l *lowering) lowerDims(n *ir.Node) {
	out := n.Out[0]
	c := Call{Method: "Numbers", Kind: "dims"}
	c.arg("", mem(l.define(out)))
	c.arg("", num(int(out.Elem.Size())))
	for _, d := range out.Dims {
		c.arg("", dim(d))
	}
	l.emit(c)
}

func (l *lowering) lowerIota(n *ir.Node) {
	a, out := n.Attr.(op.IotaAttr), n.Out[0]
	c := Call{Method: "Iota", Kind: "iota"}
	c.arg("", mem(l.define(out)))
	c.arg("", num(int(out.Elem.Size())))
	for _, list := range []ir.DimList{a.Start, a.Step, a.N} {
		c.arg("", dim(list.List()[0]))
	}
	c.arg("", text(fmt.Sprint(out.Elem == loop.F32)))
	l.emit(c)
}
