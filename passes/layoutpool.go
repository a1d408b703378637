package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Poolings with the channels last: one kernel for a line of the result, whatever the windows.

// sinkPool pools an image with the channels last, of one to three axes.
func sinkPool(_ *Context, n *ir.Node) *ir.Patch {
	a, in := n.Attr.(op.PoolAttr), n.In[0]
	p := ir.NewPatch(n)
	x := imageLast(in)
	if x == nil {
		if y := poolBefore(p, in, a); y != nil {
			return p.Replace(n.Out[0], p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(n.Out[0].Shape)}, y))
		}
		x = last(p, in)
	}
	y := poolImage(p, x, a)
	if y == nil || len(y.Shape) != len(n.Out[0].Shape) || !ir.SameShape(y.Shape[1:len(y.Shape)-1], n.Out[0].Shape[2:]) {
		return nil
	}
	return p.Replace(n.Out[0], second(p, y))
}

// last puts the channels of an image last.
func last(p *ir.Patch, v *ir.Value) *ir.Value {
	perm := []int64{0}
	for i := range len(v.Shape) - 2 {
		perm = append(perm, int64(i+2))
	}
	return p.Emit1(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(append(perm, 1)...)}, v)
}

// poolBefore pools x [batch, channels, spatial…] along its first spatial axis, if windows have one place along the others: these are what
// the channels are elsewhere, and nothing has to be transposed. The result is [batch*channels, windows, 1, others].
func poolBefore(p *ir.Patch, x *ir.Value, a op.PoolAttr) *ir.Value {
	k, pads := a.Kernel.List(), a.Pads.List()
	if len(k) < 2 {
		return nil
	}
	for i := 1; i < len(k); i++ {
		if k[i] != 1 || a.Strides.List()[i] != 1 || pads[i] != 0 || pads[len(k)+i] != 0 {
			return nil
		}
	}
	shape := []sym.Dim{x.Shape[0].Mul(x.Shape[1]), x.Shape[2], sym.Const(1), sym.Product(x.Shape[3:])}
	return poolPlanes(p, p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(shape)}, x), axes(a, 0, -1))
}

// axes are the windows of two of a's axes alone; -1 is an axis along which nothing is done.
func axes(a op.PoolAttr, first, second int) op.PoolAttr {
	of := func(l ir.IntList, axis int, otherwise int64) int64 {
		if axis < 0 {
			return otherwise
		}
		return l.List()[axis]
	}
	two := func(l ir.IntList) ir.IntList { return ir.MakeInts(of(l, first, 1), of(l, second, 1)) }
	ends := ir.MakeInts(a.Pads.List()[len(a.Kernel.List()):]...)
	b := a
	b.Kernel, b.Strides, b.Dilations = two(a.Kernel), two(a.Strides), two(a.Dilations)
	b.Pads = ir.MakeInts(of(a.Pads, first, 0), of(a.Pads, second, 0), of(ends, first, 0), of(ends, second, 0))
	return b
}

// poolImage pools x [batch, spatial…, channels]: planes, and then across planes; a line is a plane of one line. Means of means are means,
// since windows are boxes, and so is what counts of them.
func poolImage(p *ir.Patch, x *ir.Value, a op.PoolAttr) *ir.Value {
	reshape := func(v *ir.Value, shape ...sym.Dim) *ir.Value {
		return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(shape)}, v)
	}
	s, one := x.Shape, sym.Const(1)
	switch len(s) {
	case 3:
		y := poolPlanes(p, reshape(x, s[0], one, s[1], s[2]), axes(a, -1, 0))
		if y == nil {
			return nil
		}
		return reshape(y, y.Shape[0], y.Shape[2], y.Shape[3])
	case 4:
		return poolPlanes(p, x, a)
	case 5:
		y := poolPlanes(p, reshape(x, s[0].Mul(s[1]), s[2], s[3], s[4]), axes(a, 1, 2))
		if y == nil {
			return nil
		}
		h, w := y.Shape[1], y.Shape[2]
		if y = poolPlanes(p, reshape(y, s[0], s[1], h.Mul(w), s[4]), axes(a, 0, -1)); y == nil {
			return nil
		}
		return reshape(y, s[0], y.Shape[1], h, w, s[4])
	}
	return nil
}

// poolPlanes pools x [batch, height, width, channels]; nil if a last window that is not whole is wanted of a size that is not known.
func poolPlanes(p *ir.Patch, x *ir.Value, a op.PoolAttr) *ir.Value {
	padded := a
	if a.Ceil {
		whole, ok := wholeWindows(x.Shape[1:3], a)
		if !ok {
			return nil
		}
		padded = whole
	}
	if a.Max || padded.Pads == a.Pads && a.CountPad || op.NoPads(padded.Pads) {
		return p.Emit1(op.PoolLast, padded, x)
	}
	padded.Sum = true
	sum := p.Emit1(op.PoolLast, padded, x)
	return p.Emit1(op.Div, nil, sum, counted(p, x.Shape[1:3], sum.Shape[1:3], a, padded))
}

// wholeWindows makes a last window that is not whole so, by padding, which does not count.
func wholeWindows(spatial []sym.Dim, a op.PoolAttr) (op.PoolAttr, bool) {
	win, err := op.PoolWindows(spatial, a)
	if err != nil {
		return a, false
	}
	k, s, d, pads := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	for i, w := range win {
		n, ok1 := spatial[i].Const()
		count, ok2 := w.Const()
		if !ok1 || !ok2 {
			return a, false
		}
		need := (count-1)*s[i] + d[i]*(k[i]-1) + 1 - n - pads[i]
		pads[len(win)+i] = max(pads[len(win)+i], need)
	}
	a.Pads, a.Ceil = ir.MakeInts(pads...), false
	return a, true
}

// maxCounts is the most windows of an image whose places are counted while compiling.
const maxCounts = 1 << 22

// counted is how many places of each window count, [1, height, width, 1]: where sizes are open, the pooling of ones, of zeros where what is
// around the image does not count. There are so many windows, which are padded's; a says what counts.
func counted(p *ir.Patch, spatial, windows []sym.Dim, a, padded op.PoolAttr) *ir.Value {
	pads, around := a.Pads.List(), padded.Pads.List()
	inside := []sym.Dim{sym.Const(1), spatial[0], spatial[1], sym.Const(1)}
	if a.CountPad {
		for i := range 2 {
			inside[1+i] = inside[1+i].Add(sym.Const(pads[i] + pads[2+i]))
			around[i], around[2+i] = 0, around[2+i]-pads[2+i]
		}
	}
	padded.Pads, padded.Max = ir.MakeInts(around...), false
	h, ok1 := inside[1].Const()
	w, ok2 := inside[2].Const()
	many, ok := windows[0].Mul(windows[1]).Const()
	if ok && ok1 && ok2 && many <= maxCounts {
		rows, columns := countsAlong(h, padded, 0), countsAlong(w, padded, 1)
		t := ir.NewTensor(loop.F32, 1, int64(len(rows)), int64(len(columns)), 1)
		for i, n := range rows {
			for j, m := range columns {
				ir.Slice[float32](t)[i*len(columns)+j] = float32(n * m)
			}
		}
		return ir.ConstValue("", t)
	}
	one := ir.ConstValue("", ir.Floats([]float32{1}, 1))
	return p.Emit1(op.PoolLast, padded, p.Emit1(op.Expand, op.ExpandAttr{To: ir.MakeDims(inside)}, one))
}

// countsAlong is how many places of each window along an axis lie inside of n.
func countsAlong(n int64, a op.PoolAttr, axis int) []int64 {
	k, s, d, pads := a.Kernel.List()[axis], a.Strides.List()[axis], a.Dilations.List()[axis], a.Pads.List()
	var counts []int64
	for at := -pads[axis]; at+d*(k-1) < n+pads[2+axis]; at += s {
		first, last := (max(0, -at)+d-1)/d, min(k-1, (n-1-at)/d)
		if n-1 < at {
			last = -1
		}
		counts = append(counts, max(0, last-first+1))
	}
	return counts
}
