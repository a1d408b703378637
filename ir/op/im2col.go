package op

import (
	"errors"
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Im2ColAttr describes a convolution's windows, one number a spatial axis; Pads holds the begins, then the ends.
type Im2ColAttr struct{ Kernel, Strides, Dilations, Pads ir.IntList }

// Im2Col lays the windows of a convolution out as rows: x of shape [batch, channels, spatial…] becomes
// [batch, windows, channels*kernel], with zeros where a window leaves the input (Chellapilla et al., 2006).
var Im2Col = ir.NewOp("im2col", "the windows of a convolution as rows", Im2ColAttr{})

func init() {
	Im2Col.Infer = func(n *ir.Node) error {
		v := n.In[0]
		out, err := Windows(v.Shape[2:], n.Attr.(Im2ColAttr))
		if err != nil {
			return err
		}
		cols := v.Shape[1].Mul(sym.Const(ir.NumElements(n.Attr.(Im2ColAttr).Kernel.List())))
		n.Out[0].Elem, n.Out[0].Shape = v.Elem, []sym.Dim{v.Shape[0], sym.Product(out), cols}
		return nil
	}
	Im2Col.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		win, err := ir.EvalShape(must(Windows(n.In[0].Shape[2:], n.Attr.(Im2ColAttr))), b)
		if err != nil {
			return nil, err
		}
		out := ir.NewTensor(loop.F32, shape...)
		im2col(n.Attr.(Im2ColAttr), in[0], win, ir.Slice[float32](out))
		return []*ir.Tensor{out}, nil
	}
	ir.FromONNX("", "Conv", 1, readConv)
}

func must[T any](v T, _ error) T { return v }

// Windows is the number of windows along each spatial axis.
func Windows(spatial []sym.Dim, a Im2ColAttr) ([]sym.Dim, error) {
	k, s, d, p := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	r := len(spatial)
	if len(k) != r || len(s) != r || len(d) != r || len(p) != 2*r {
		return nil, fmt.Errorf("a window of %d axes, strides of %d, dilations of %d and %d pads for %d spatial axes", len(k), len(s), len(d), len(p), r)
	}
	out := make([]sym.Dim, r)
	for i := range out {
		if k[i] < 1 || s[i] < 1 || d[i] < 1 || p[i] < 0 || p[r+i] < 0 {
			return nil, fmt.Errorf("spatial axis %d: kernel %d, stride %d, dilation %d, pads %d and %d", i, k[i], s[i], d[i], p[i], p[r+i])
		}
		room := spatial[i].Add(sym.Const(p[i] + p[r+i] - d[i]*(k[i]-1) - 1))
		out[i] = room.FloorDiv(sym.Const(s[i])).Add(sym.Const(1))
		if _, hi := out[i].Bounds(); hi < 1 {
			return nil, fmt.Errorf("spatial axis %d of size %v is smaller than the window", i, spatial[i])
		}
	}
	return out, nil
}

func im2col(a Im2ColAttr, in *ir.Tensor, win []int64, out []float32) {
	x := ir.Slice[float32](in)
	k, s, d, p := a.Kernel.List(), a.Strides.List(), a.Dilations.List(), a.Pads.List()
	spatial := in.Shape[2:]
	at := 0
	for n := range in.Shape[0] {
		forEach(win, func(w []int64) {
			for c := range in.Shape[1] {
				forEach(k, func(o []int64) {
					idx, inside := n*in.Shape[1]+c, true
					for i := range o {
						pos := w[i]*s[i] - p[i] + o[i]*d[i]
						inside = inside && pos >= 0 && pos < spatial[i]
						idx = idx*spatial[i] + pos
					}
					if inside {
						out[at] = x[idx]
					}
					at++
				})
			}
		})
	}
}

// forEach calls f with every index of a box, last axis fastest.
func forEach(shape []int64, f func(idx []int64)) {
	idx := make([]int64, len(shape))
	for range ir.NumElements(shape) {
		f(idx)
		for a := len(shape) - 1; a >= 0; a-- {
			if idx[a]++; idx[a] < shape[a] {
				break
			}
			idx[a] = 0
		}
	}
}

func readConv(c *ir.Import) error {
	x, err1 := c.Need(0)
	w, err2 := c.Need(1)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	padded, x := withoutPadding(c, x)
	return c.Return1(convolve(padded, x, w, c.Value(2)))
}

// fewChannels is up to how many input channels patches that do not overlap are made from an image with the channels first: there is
// nothing to gain from moving them.
const fewChannels = 4

// convolve is a convolution in one of four forms, all of which give the channels last, and a transposition that puts them second again:
// a product of the windows' rows with the weights as a matrix; for one channel a group, Depthwise; for other groups, GroupedConv or, with
// weights that are computed, a batch of products.
// The node's attributes describe the windows.
func convolve(c *ir.Import, x, w, bias *ir.Value) (*ir.Value, error) {
	return convolveBy(c, x, w, bias, func(b *builder, rows, w *ir.Value) *ir.Value { return b.do(MatMul, nil, rows, w) })
}

// convolveBy is convolve with what multiplies the windows' rows with the weights, if all input channels are one group.
func convolveBy(c *ir.Import, x, w, bias *ir.Value, product func(b *builder, rows, w *ir.Value) *ir.Value) (*ir.Value, error) {
	r := len(x.Shape) - 2
	if r < 1 || len(w.Shape) != r+2 {
		return nil, fmt.Errorf("an input of rank %d and weights of rank %d", len(x.Shape), len(w.Shape))
	}
	kernel := ir.ConstShape(w.Shape)
	groups := c.Int("group", 1)
	if slices.Min(kernel) < 1 {
		return nil, ir.NotSupported("Conv with weights of a shape that is not known, or empty")
	}
	if groups < 1 || kernel[0]%groups != 0 {
		return nil, fmt.Errorf("%d groups for %d output channels", groups, kernel[0])
	}
	if err := ir.Equal(x.Shape[1], w.Shape[1].Mul(sym.Const(groups))); err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	c, x, err := samePadded(c, x, kernel[2:], 0)
	if err != nil {
		return nil, err
	}
	a, err := windowAttr(c, x.Shape[2:], kernel[2:])
	if err != nil {
		return nil, err
	}
	win, err := Windows(x.Shape[2:], a)
	if err != nil {
		return nil, err
	}
	b := &builder{c: c}
	shape := dims(x.Shape[0], win, w.Shape[0])
	var y *ir.Value
	switch {
	case kernel[1] == 1 && r <= 2 && groups > 1:
		y, bias = b.depthwise(x, w, bias, a), nil
	case groups == 1 && (kernel[1] > fewChannels || a.Kernel != a.Strides || oneByOne(a)):
		rows := b.transpose(x, channelsLast(r)...)
		if !oneByOne(a) {
			rows = b.do(Patches, a, rows)
		}
		y = product(b, rows, b.transpose(b.reshape(b.transpose(w, channelsLast(r)...), dims(w.Shape[0], sym.Product(w.Shape[1:]))), 1, 0))
	case groups == 1:
		rows := b.do(Im2Col, a, x)
		depth := sym.Product(w.Shape[1:])
		y = product(b, b.reshape(rows, dims(x.Shape[0], win, depth)), b.transpose(b.reshape(w, dims(w.Shape[0], depth)), 1, 0))
	default:
		if c := settled(w); c != nil && r <= 3 && slicesFit(a, kernel[1]*fewOutputs) {
			y = b.groupedConv(b.transpose(x, channelsLast(r)...), c, a, groups)
			break
		}
		rows, err := convRows(c, x, w, a, groups)
		if err != nil {
			return nil, err
		}
		y = b.reshape(rows, shape)
	}
	if bias != nil {
		y = b.add(y, bias)
	}
	y = b.transpose(y, channelsSecond(r)...)
	return y, b.err
}

// oneByOne reports windows of one element each, all of them.
func oneByOne(a Im2ColAttr) bool {
	for _, l := range []ir.IntList{a.Kernel, a.Strides} {
		for _, k := range l.List() {
			if k != 1 {
				return false
			}
		}
	}
	for _, p := range a.Pads.List() {
		if p != 0 {
			return false
		}
	}
	return true
}

// channelsLast and channelsSecond are the permutations between [batch, channels, spatial…] and [batch, spatial…, channels].
func channelsLast(r int) []int64 {
	perm := []int64{0}
	for i := range r {
		perm = append(perm, int64(i+2))
	}
	return append(perm, 1)
}

func channelsSecond(r int) []int64 {
	perm := []int64{0, int64(r + 1)}
	for i := range r {
		perm = append(perm, int64(i+1))
	}
	return perm
}

// convRows is the convolution of groups as rows, [batch, windows, output channels]: a batch of products.
func convRows(c *ir.Import, x, w *ir.Value, a Im2ColAttr, groups int64) (*ir.Value, error) {
	b := &builder{c: c}
	batch := x.Shape[0]
	outs, _ := w.Shape[0].Const()
	depth := sym.Product(w.Shape[1:])
	rows := b.do(Im2Col, a, b.reshape(x, dims(batch.Mul(sym.Const(groups)), w.Shape[1], x.Shape[2:])))
	if b.err != nil {
		return nil, b.err
	}
	windows := rows.Shape[1]
	mat := b.transpose(b.reshape(w, dims(groups, outs/groups, depth)), 0, 2, 1)
	y := b.do(MatMul, nil, b.reshape(rows, dims(batch, groups, windows, depth)), mat)
	return b.reshape(b.transpose(y, 0, 2, 1, 3), dims(batch, windows, w.Shape[0])), b.err
}

// samePadded does what auto_pad SAME_UPPER and SAME_LOWER ask for along axes whose sizes are not known: the node it gives has pads, or x
// has them already, of the number fill.
func samePadded(c *ir.Import, x *ir.Value, kernel []int64, fill float64) (*ir.Import, *ir.Value, error) {
	spatial := x.Shape[2:]
	r := len(spatial)
	mode := c.Str("auto_pad", "NOTSET")
	if mode != "SAME_UPPER" && mode != "SAME_LOWER" || !isOpen(spatial) {
		return c, x, nil
	}
	first, second := make([]sym.Dim, r), make([]sym.Dim, r)
	for i, n := range spatial {
		stride, window := listed(c, "strides", i), listed(c, "dilations", i)*(kernel[i]-1)+1
		if stride < 1 || window < 1 {
			return nil, nil, fmt.Errorf("a stride of %d and a window of %d", stride, window)
		}
		last := n.Sub(sym.Const(1)).FloorDiv(sym.Const(stride)).Mul(sym.Const(stride)) // where the last window begins, without pads
		total := last.Add(sym.Const(window)).Sub(n)
		switch {
		case window == 1:
			total = sym.Const(0)
		case window < stride:
			return nil, nil, ir.NotSupported("auto_pad of a window of %d with stride %d on an axis whose size is not known", window, stride)
		}
		first[i] = total.FloorDiv(sym.Const(2))
		second[i] = total.Sub(first[i])
		if mode == "SAME_LOWER" {
			first[i], second[i] = second[i], first[i]
		}
	}
	if pads := append(slices.Clone(first), second...); !isOpen(pads) {
		return withPads(c, ir.ConstShape(pads)), x, nil
	}
	b := &builder{c: c}
	p := padding{b, "constant", b.like(x, fill)}
	for i := range r {
		x = p.around(x, i+2, first[i], second[i])
	}
	return withPads(c, make([]int64, 2*r)), x, b.err
}

// isOpen reports whether a size is not known.
func isOpen(shape []sym.Dim) bool { return slices.Contains(ir.ConstShape(shape), -1) }

// listed is number i of an attribute, 1 by default.
func listed(c *ir.Import, name string, i int) int64 {
	if list, ok := c.Ints(name); ok && i < len(list) {
		return list[i]
	}
	return 1
}

func windowAttr(c *ir.Import, spatial []sym.Dim, kernel []int64) (Im2ColAttr, error) {
	r := len(spatial)
	list := func(name string, n int, def int64) []int64 {
		if v, ok := c.Ints(name); ok {
			return v
		}
		v := make([]int64, n)
		for i := range v {
			v[i] = def
		}
		return v
	}
	strides, dilations, pads := list("strides", r, 1), list("dilations", r, 1), list("pads", 2*r, 0)
	switch mode := c.Str("auto_pad", "NOTSET"); mode {
	case "NOTSET", "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		if len(strides) != r || len(dilations) != r {
			return Im2ColAttr{}, fmt.Errorf("strides and dilations for %d spatial axes", r)
		}
		for i, d := range spatial {
			n, ok := d.Const()
			if !ok || strides[i] < 1 {
				return Im2ColAttr{}, ir.NotSupported("auto_pad on an axis whose size is not known")
			}
			total := max(0, ((n+strides[i]-1)/strides[i]-1)*strides[i]+dilations[i]*(kernel[i]-1)+1-n)
			pads[i], pads[r+i] = total/2, total-total/2
			if mode == "SAME_LOWER" {
				pads[i], pads[r+i] = pads[r+i], pads[i]
			}
		}
	default:
		return Im2ColAttr{}, fmt.Errorf("auto_pad %q", mode)
	}
	return Im2ColAttr{ir.MakeInts(kernel...), ir.MakeInts(strides...), ir.MakeInts(dilations...), ir.MakeInts(pads...)}, nil
}
