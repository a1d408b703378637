package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Layout keeps images with the channels last from one convolution to the next: the transposition that puts them second moves below
// elementwise operators, pooling and concatenation, until it meets the next convolution's, which undoes it.
var Layout = Rewrite("layout", "keeps images with the channels last",
	Rule{Try: sinkElementwise},
	Rule{Try: sinkFlat},
	Rule{Root: func() *ir.Op { return op.Reduce }, Try: reduceFlat},
	Rule{Root: func() *ir.Op { return op.Pool }, Try: sinkPool},
	Rule{Root: func() *ir.Op { return op.Resize }, Try: sinkResize},
	Rule{Root: func() *ir.Op { return op.Concat }, Try: sinkConcat},
	Rule{Root: func() *ir.Op { return op.Slice }, Try: sinkSlice},
	Rule{Root: func() *ir.Op { return op.Gather }, Try: sinkGather},
	Rule{Root: func() *ir.Op { return op.Reshape }, Try: sinkRepeat},
	Rule{Root: func() *ir.Op { return op.Reshape }, Try: sinkSplit},
	Rule{Root: func() *ir.Op { return op.Reshape }, Try: sinkGlobal},
	Rule{Root: func() *ir.Op { return op.Reduce }, Try: poolRows},
	Rule{Root: func() *ir.Op { return op.Transpose }, Try: joinTransposes})

func joinTransposes(c *Context, n *ir.Node) *ir.Patch {
	if by(n.In[0], op.Transpose) == nil && !identity(n.Attr.(op.TransposeAttr).Perm.List()) {
		return nil
	}
	return simplifyTranspose(c, n)
}

// imageLast is the image with the channels last of which v is the transposition, or nil. Images of one axis look like any rows: they must
// come of a convolution.
func imageLast(v *ir.Value) *ir.Value {
	t := by(v, op.Transpose)
	if t == nil || len(v.Shape) < 3 || len(v.Shape) == 3 && !convolved(t.In[0], maxChain) {
		return nil
	}
	perm := t.Attr.(op.TransposeAttr).Perm.List()
	for i, p := range perm {
		want := int64(i - 1)
		switch i {
		case 0:
			want = 0
		case 1:
			want = int64(len(perm) - 1)
		}
		if p != want {
			return nil
		}
	}
	return t.In[0]
}

// maxChain is the most operators that are passed on the way to a convolution.
const maxChain = 16

// convolved reports whether v is what a convolution makes, perhaps with elementwise operators, norms of whole images and reshapes after it.
func convolved(v *ir.Value, most int) bool {
	return v.Def != nil && convolvedBy(v.Def, most, map[*ir.Node]bool{})
}

func convolvedBy(n *ir.Node, most int, seen map[*ir.Node]bool) bool {
	if most == 0 || seen[n] {
		return false
	}
	seen[n] = true
	switch {
	case n.Op == op.MatMul || n.Op == op.ByteLinear:
		return by(n.In[0], op.Patches) != nil
	case n.Op == op.Depthwise || n.Op == op.GroupedConv:
		return true
	case n.Op != op.Reshape && n.Op.Elem == nil:
		return false
	}
	for _, x := range n.In {
		if x.Def != nil && (n.Op == op.Reshape || ir.SameShape(x.Shape, n.Out[0].Shape)) && convolvedBy(x.Def, most-1, seen) {
			return true
		}
	}
	return false
}

// second puts the channels of an image second again.
func second(p *ir.Patch, v *ir.Value) *ir.Value {
	perm := []int64{0, int64(len(v.Shape) - 1)}
	for i := range len(v.Shape) - 2 {
		perm = append(perm, int64(i+1))
	}
	return p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(perm...)}, v)
}

// sinkElementwise computes an elementwise operator of images on the images with the channels last; other operands must be small.
func sinkElementwise(_ *Context, n *ir.Node) *ir.Patch {
	if n.Op.Elem == nil || len(n.Out[0].Shape) < 3 {
		return nil
	}
	out := n.Out[0].Shape
	p := ir.NewPatch(n)
	in := make([]*ir.Value, len(n.In))
	full := false
	for i, v := range n.In {
		x := imageLast(v)
		switch {
		case x != nil && ir.SameShape(v.Shape, out):
			in[i], full = x, true
		case x != nil:
			in[i] = x
		default:
			if in[i] = smallLast(p, v, len(out)); in[i] == nil {
				return nil
			}
		}
	}
	if !full {
		return nil
	}
	return p.Replace(n.Out[0], second(p, p.Emit1(n.Op, n.Attr, in...)))
}

// smallLast is a value that has at most channels, made to broadcast with the channels last; nil if it has more. Constants of the channels
// alone become vectors.
func smallLast(p *ir.Patch, v *ir.Value, rank int) *ir.Value {
	d := rank - len(v.Shape)
	channels := sym.Const(1)
	if d == 0 && onePlace(v.Shape) { // a number for each channel of each image
		return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(channelsLast(v.Shape))}, v)
	}
	for i, s := range v.Shape {
		if s.Is(1) {
			continue
		}
		if d+i != 1 {
			return nil
		}
		channels = s
	}
	if channels.Is(1) && v.Const != nil && len(v.Shape) <= 1 {
		return v
	}
	if v.Const != nil {
		return ir.ConstValue(v.Name, &ir.Tensor{Elem: v.Elem, Shape: []int64{int64(v.Const.Len())}, Data: v.Const.Data})
	}
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{channels})}, v)
}

// onePlace reports whether an image has one place and, so that the form for fewer axes does not serve, more than one entry in its batch.
func onePlace(shape []sym.Dim) bool {
	for _, d := range shape[2:] {
		if !d.Is(1) {
			return false
		}
	}
	return !shape[0].Is(1)
}

// sinkResize resizes images with the channels last.
func sinkResize(_ *Context, n *ir.Node) *ir.Patch {
	x, a := imageLast(n.In[0]), n.Attr.(op.ResizeAttr)
	if x == nil || len(x.Shape) != 4 || a.Last {
		return nil
	}
	a.Last, a.Sizes = true, ir.MakeDims(channelsLast(a.Sizes.List()))
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], second(p, p.Emit1(op.Resize, a, x)))
}

// sinkSplit makes rows an image: [batch, places, channels], transposed, with the places as a height and a width.
func sinkSplit(_ *Context, n *ir.Node) *ir.Patch {
	t, to := by(n.In[0], op.Transpose), n.Out[0].Shape
	if t == nil || len(t.In[0].Shape) != 3 || len(to) != 4 || !slices.Equal(t.Attr.(op.TransposeAttr).Perm.List(), []int64{0, 2, 1}) {
		return nil
	}
	if s := t.Out[0].Shape; to[0] != s[0] || to[1] != s[1] {
		return nil
	}
	p := ir.NewPatch(n)
	image := ir.MakeDims(channelsLast(to))
	return p.Replace(n.Out[0], second(p, p.Emit1(op.Reshape, op.ReshapeAttr{To: image}, t.In[0])))
}

// sinkConcat joins images along the channels, which are last.
func sinkConcat(_ *Context, n *ir.Node) *ir.Patch {
	rank := len(n.Out[0].Shape)
	axis := n.Attr.(op.ConcatAttr).Axis
	in := make([]*ir.Value, len(n.In))
	for i, v := range n.In {
		if in[i] = imageLast(v); in[i] == nil {
			return nil
		}
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], second(p, p.Emit1(op.Concat, op.ConcatAttr{Axis: axisLast(axis, rank)}, in...)))
}

// axisLast is where an axis of an image of a rank is with the channels last.
func axisLast(axis int64, rank int) int64 {
	switch {
	case axis == 1:
		return int64(rank - 1)
	case axis > 1:
		return axis - 1
	}
	return axis
}

// sinkGather picks lines or places of an image, as resizing by the nearest place does, with the channels last.
func sinkGather(_ *Context, n *ir.Node) *ir.Patch {
	x, axis := imageLast(n.In[0]), n.Attr.(op.GatherAttr).Axis
	if x == nil || axis == 0 || len(n.In[1].Shape) != 1 {
		return nil
	}
	p := ir.NewPatch(n)
	return p.Replace(n.Out[0], second(p, p.Emit1(op.Gather, op.GatherAttr{Axis: axisLast(axis, len(x.Shape))}, x, n.In[1])))
}

// sinkSlice takes a part of an image's channels or places with the channels last.
func sinkSlice(_ *Context, n *ir.Node) *ir.Patch {
	x, a := imageLast(n.In[0]), n.Attr.(op.SliceAttr)
	if x == nil {
		return nil
	}
	p := ir.NewPatch(n)
	a = op.SliceAttr{Starts: ir.MakeDims(channelsLast(a.Starts.List())), Sizes: ir.MakeDims(channelsLast(a.Sizes.List())),
		Steps: ir.MakeInts(channelsLast(a.Steps.List())...)}
	return p.Replace(n.Out[0], second(p, p.Emit1(op.Slice, a, x)))
}

// channelsLast are an image's axes with the second one last.
func channelsLast[T any](axes []T) []T {
	return append(append([]T{axes[0]}, axes[2:]...), axes[1])
}

// sinkRepeat repeats an image's places, which is how it is resized to a multiple by the nearest place, with the channels last: an expansion
// of axes behind the height and the width.
func sinkRepeat(_ *Context, n *ir.Node) *ir.Patch {
	many := by(n.In[0], op.Expand)
	if many == nil || by(many.In[0], op.Reshape) == nil || len(many.Out[0].Shape) != 6 || len(n.Out[0].Shape) != 4 {
		return nil
	}
	x := imageLast(many.In[0].Def.In[0])
	if x == nil || len(x.Shape) != 4 {
		return nil
	}
	one, to := sym.Const(1), many.Out[0].Shape
	image := []sym.Dim{x.Shape[0], x.Shape[3], x.Shape[1], one, x.Shape[2], one}
	places := []sym.Dim{to[0], to[1], to[2].Mul(to[3]), to[4].Mul(to[5])}
	if !ir.SameShape(many.In[0].Shape, image) || !ir.SameShape(n.Out[0].Shape, places) {
		return nil
	}
	p := ir.NewPatch(n)
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(channelsLast(image))}, x)
	y = p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(channelsLast(to))}, y)
	y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(channelsLast(places))}, y)
	return p.Replace(n.Out[0], second(p, y))
}

// sinkGlobal makes the mean or maximum of whole images, which reads as a reduction of the last axis of [batch, channels, places], a
// pooling of lines and one of what that gives.
func sinkGlobal(c *Context, n *ir.Node) *ir.Patch {
	x := imageLast(n.In[0])
	if x == nil || len(x.Shape) != 4 || len(n.Out[0].Shape) != 3 {
		return nil
	}
	r := c.Only(n.Out[0])
	h, ok1 := x.Shape[1].Const()
	w, ok2 := x.Shape[2].Const()
	if r == nil || r.Op != op.Reduce || !ok1 || !ok2 || h*w > 1<<16 || n.Out[0].Shape[1] != x.Shape[3] {
		return nil
	}
	kind := r.Attr.(op.ReduceAttr).Kind
	if kind != "mean" && kind != "max" {
		return nil
	}
	p := ir.NewPatch(r, n)
	y := x
	if w > 1 && h > 1 {
		y = p.Emit1(op.PoolLast, wholePool(1, w, kind == "max"), y)
		w = 1
	}
	y = p.Emit1(op.PoolLast, wholePool(h, w, kind == "max"), y)
	return p.Replace(r.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(r.Out[0].Shape)}, y))
}

// maxPooled is the most rows whose mean is one chain of sums.
const maxPooled = 1 << 10

// poolRows makes a sum, mean or maximum along axes that are not the last, which reads as a reduction of the last axis of what is transposed, a
// pooling of one line: what is behind these axes are its channels.
func poolRows(c *Context, n *ir.Node) *ir.Patch {
	kind := n.Attr.(op.ReduceAttr).Kind
	t, count := movedLast(n.In[0])
	if t == nil || kind != "mean" && kind != "max" && kind != "sum" {
		return nil
	}
	x, perm := t.In[0], t.Attr.(op.TransposeAttr).Perm.List()
	left := perm[:len(perm)-count]
	first := int(perm[len(left)])
	rows, ok := sym.Product(x.Shape[first : first+count]).Const()
	if !ok || rows > maxPooled || rows < 2 || first+count == len(perm) {
		return nil
	}
	p := ir.NewPatch(n, t)
	image := []sym.Dim{sym.Product(x.Shape[:first]), sym.Const(1), sym.Const(rows), sym.Product(x.Shape[first+count:])}
	y := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(image)}, x)
	attr := wholePool(1, rows, kind == "max")
	attr.Sum = kind == "sum"
	y = p.Emit1(op.PoolLast, attr, y)
	y = p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(slices.Concat(x.Shape[:first], x.Shape[first+count:]))}, y)
	if !slices.IsSorted(left) {
		for i, axis := range left {
			if axis > int64(first) {
				left[i] -= int64(count)
			}
		}
		y = p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(left...)}, y)
	}
	return p.Replace(n.Out[0], y)
}

// movedLast is the transposition that makes axes of its input that follow each other the last ones, of which v is the result with these as
// one axis, and how many they are; nil if v is something else.
func movedLast(v *ir.Value) (t *ir.Node, count int) {
	t, count = by(v, op.Transpose), 1
	if flat := by(v, op.Reshape); flat != nil {
		t, count = by(flat.In[0], op.Transpose), len(flat.In[0].Shape)-len(v.Shape)+1
		if t == nil || count < 1 || !ir.SameShape(v.Shape[:len(v.Shape)-1], t.Out[0].Shape[:len(v.Shape)-1]) {
			return nil, 0
		}
	}
	if t == nil {
		return nil, 0
	}
	perm := t.Attr.(op.TransposeAttr).Perm.List()
	for i := len(perm) - count + 1; i < len(perm); i++ {
		if perm[i] != perm[i-1]+1 {
			return nil, 0
		}
	}
	return t, count
}

// wholePool is the pooling of windows that begin next to each other and stay inside the image.
func wholePool(h, w int64, greatest bool) op.PoolAttr {
	return op.PoolAttr{Kernel: ir.MakeInts(h, w), Strides: ir.MakeInts(1, 1), Dilations: ir.MakeInts(1, 1), Pads: ir.MakeInts(0, 0, 0, 0), Max: greatest}
}
