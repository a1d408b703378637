package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// WinogradAttr describes the padding (top, left, bottom, right), and the activation as LinearAttr does.
type WinogradAttr struct {
	Pads          ir.IntList
	Act           string
	Tanh          bool
	Alpha, Lo, Hi float32
	Last          bool
}

// Epilogue is the activation.
func (a WinogradAttr) Epilogue() LinearAttr {
	return LinearAttr{Act: a.Act, Tanh: a.Tanh, Alpha: a.Alpha, Lo: a.Lo, Hi: a.Hi, Last: a.Last}
}

// Winograd is act(conv(x) + bias) + residual, as Linear has it, of an image with the channels last and windows of 3 by 3 places, one
// apart: x [batch, height, width, channels], weights [16*channels, n] as WinogradWeights makes them, bias [n] or nil, residual of the
// result's shape or nil. Tiles of 4 by 4 places give 2 by 2 of the result with 16 products in place of 36 (Lavin and Gray, Fast
// Algorithms for Convolutional Neural Networks, 2015, F(2x2, 3x3)).
//
// Its arithmetic: a tile's columns, then its rows, go through WinogradBefore; each of the 16 elements is a chain of fused multiply-adds
// over the channels from zero, the bias added to element 5; columns, then rows, go through WinogradAfter.
var Winograd = ir.NewOp("winograd", "a convolution of 3 x 3 places by 16 products for 4 results", WinogradAttr{})

func init() {
	Winograd.Infer = func(n *ir.Node) error {
		if len(n.In) != 4 {
			return fmt.Errorf("%d inputs, want x, w, bias, residual", len(n.In))
		}
		x, w, bias, res := n.In[0], n.In[1], n.In[2], n.In[3]
		pads := n.Attr.(WinogradAttr).Pads.List()
		if x.Elem != loop.F32 || len(x.Shape) != 4 || w.Const == nil || w.Elem != loop.F32 || len(w.Shape) != 2 || len(pads) != 4 {
			return fmt.Errorf("operands of wrong type or rank")
		}
		if err := ir.Equal(x.Shape[3].Mul(sym.Const(16)), w.Shape[0]); err != nil {
			return err
		}
		win, err := Windows(x.Shape[1:3], threeByThree(n.Attr.(WinogradAttr)))
		if err != nil {
			return err
		}
		shape := dims(x.Shape[0], win, w.Shape[1])
		if bias != nil && (len(bias.Shape) != 1 || bias.Shape[0] != w.Shape[1]) || res != nil && !ir.SameShape(res.Shape, shape) {
			return fmt.Errorf("a bias or residual that does not fit %v", shape)
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, shape
		return nil
	}
	Winograd.Eval = evalWinograd
}

func threeByThree(a WinogradAttr) Im2ColAttr {
	return Im2ColAttr{Kernel: ir.MakeInts(3, 3), Strides: ir.MakeInts(1, 1), Dilations: ir.MakeInts(1, 1), Pads: a.Pads}
}

// WinogradBefore is one direction of what is done to a tile of the image: four elements for four.
func WinogradBefore() *loop.Kernel {
	b := loop.NewBuilder("winograd_before")
	var in, out [4]int
	for i := range in {
		in[i] = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	for i := range out {
		out[i] = b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	}
	b.Loop(func() {
		d0, d1, d2, d3 := b.Load(in[0]), b.Load(in[1]), b.Load(in[2]), b.Load(in[3])
		b.Store(out[0], b.Sub(d0, d2))
		b.Store(out[1], b.Add(d1, d2))
		b.Store(out[2], b.Sub(d2, d1))
		b.Store(out[3], b.Sub(d1, d3))
	})
	return b.Kernel()
}

// WinogradAfter is one direction of what is done to the products: two elements of the result for four.
func WinogradAfter() *loop.Kernel {
	b := loop.NewBuilder("winograd_after")
	var in [4]int
	var out [2]int
	for i := range in {
		in[i] = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	for i := range out {
		out[i] = b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	}
	b.Loop(func() {
		m0, m1, m2, m3 := b.Load(in[0]), b.Load(in[1]), b.Load(in[2]), b.Load(in[3])
		b.Store(out[0], b.Add(b.Add(m0, m1), m2))
		b.Store(out[1], b.Sub(b.Sub(m1, m2), m3))
	})
	return b.Kernel()
}

// WinogradWeights are the weights for Winograd, [16*channels, n], of a matrix [9*channels, n] as a Linear of Patches has it. They are
// computed in f64 and rounded once.
func WinogradWeights(w *ir.Tensor) *ir.Tensor {
	c, n := int(w.Shape[0]/9), int(w.Shape[1])
	from := ir.Slice[float32](w)
	out := ir.NewTensor(loop.F32, int64(16*c), int64(n))
	to := ir.Slice[float32](out)
	spread := func(g [3]float64) [4]float64 {
		return [4]float64{g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]}
	}
	for k := range c * n {
		var half [4][3]float64
		for col := range 3 {
			var g [3]float64
			for row := range 3 {
				g[row] = float64(from[(row*3+col)*c*n+k])
			}
			for row, v := range spread(g) {
				half[row][col] = v
			}
		}
		for row, g := range half {
			for col, v := range spread(g) {
				to[(row*4+col)*c*n+k] = float32(v)
			}
		}
	}
	return out
}

func evalWinograd(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	out := ir.NewTensor(loop.F32, shape...)
	e := &winograd{x: in[0], w: in[1], bias: in[2], y: out, pads: n.Attr.(WinogradAttr).Pads.List(), before: WinogradBefore(), after: WinogradAfter()}
	for image := range shape[0] {
		for row := int64(0); row < shape[1]; row += 2 {
			for col := int64(0); col < shape[2]; col += 2 {
				if err := e.tile(image, row, col); err != nil {
					return nil, err
				}
			}
		}
	}
	return []*ir.Tensor{out}, epilogue(n.Attr.(WinogradAttr).Epilogue(), out, nil, in[3])
}

// winograd is the evaluation of one node.
type winograd struct {
	x, w, bias, y *ir.Tensor
	pads          []int64
	before, after *loop.Kernel
}

// tile computes the results at (top, left) and its neighbours.
func (e *winograd) tile(image, top, left int64) error {
	c := e.x.Shape[3]
	var d, m [4][4]row
	for i := range d {
		for j := range d[i] {
			d[i][j] = make(row, c)
			y, x := top+int64(i)-e.pads[0], left+int64(j)-e.pads[1]
			if y >= 0 && y < e.x.Shape[1] && x >= 0 && x < e.x.Shape[2] {
				copy(d[i][j], rowOf(e.x, (image*e.x.Shape[1]+y)*e.x.Shape[2]+x, c))
			}
		}
	}
	if err := eachWay(e.before, &d, 4); err != nil {
		return err
	}
	for k := range 16 {
		m[k/4][k%4] = e.product(k, d[k/4][k%4])
	}
	if err := eachWay(e.after, &m, 2); err != nil {
		return err
	}
	for i := range min(2, e.y.Shape[1]-top) {
		for j := range min(2, e.y.Shape[2]-left) {
			copy(rowOf(e.y, (image*e.y.Shape[1]+top+i)*e.y.Shape[2]+left+j, e.y.Shape[3]), m[i][j])
		}
	}
	return nil
}

// eachWay sends the columns of a tile, then its rows, through a kernel that makes count elements of four.
func eachWay(k *loop.Kernel, t *[4][4]row, count int) error {
	width := len(t[0][0])
	run := func(at func(i int) *row) error {
		var bufs []loop.Buffer
		var made []row
		for i := range 4 {
			bufs = append(bufs, *at(i))
		}
		for range count {
			made = append(made, make(row, width))
			bufs = append(bufs, made[len(made)-1])
		}
		err := k.Run(width, bufs...)
		for i, r := range made {
			*at(i) = r
		}
		return err
	}
	for j := range 4 {
		if err := run(func(i int) *row { return &t[i][j] }); err != nil {
			return err
		}
	}
	for i := range count {
		if err := run(func(j int) *row { return &t[i][j] }); err != nil {
			return err
		}
	}
	return nil
}

// product is element k of the sixteen: a row of results for a row of channels.
func (e *winograd) product(k int, d row) row {
	n := e.w.Shape[1]
	out := make(row, n)
	for c, x := range d {
		w := rowOf(e.w, int64(k*len(d)+c), n)
		for i := range out {
			out[i] = loop.FMA32(x, w[i], out[i])
		}
	}
	if k == 5 && e.bias != nil {
		for i, v := range rowOf(e.bias, 0, n) {
			out[i] += v
		}
	}
	return out
}
