package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// LinearAttr names the activation after the bias: an elementwise operator's name, or "" for none.
type LinearAttr struct {
	Act    string
	Tanh   bool    // for gelu: the tanh form
	Alpha  float32 // for silu and leakyrelu
	Lo, Hi float32 // for clamp
	Last   bool    // the activation comes after the residual
	Times  bool    // the residual is a factor
}

// Take makes the elementwise node u the activation; it reports whether u is one.
func (a *LinearAttr) Take(u *ir.Node) bool {
	switch u.Op {
	case Relu, Tanh, Sigmoid, HardSwish, Mish:
	case Clamp:
		at := u.Attr.(ClampAttr)
		a.Lo, a.Hi = at.Lo, at.Hi
	case LeakyRelu:
		a.Alpha = u.Attr.(LeakyReluAttr).Alpha
	case Gelu:
		a.Tanh = u.Attr.(GeluAttr).Tanh
	case Silu:
		a.Alpha = u.Attr.(SiluAttr).Alpha
	default:
		return false
	}
	a.Act = u.Op.Name
	return true
}

// Linear is act(x W + bias) + residual or, with Last, act(x W + bias + residual) or, with Times, a product with the residual for the
// sum: x of any rank with k elements in the last axis, W a constant of shape [k, n], bias of shape [n] or absent, residual of the
// result's shape or absent.
var Linear = ir.NewOp("linear", "act(x W + bias) + residual, W constant", LinearAttr{})

func init() {
	Linear.Infer = inferLinear
	Linear.Eval = evalLinear
}

func inferLinear(n *ir.Node) error {
	if len(n.In) != 4 {
		return fmt.Errorf("%d inputs, want x, W, bias, residual", len(n.In))
	}
	x, w, bias, res := n.In[0], n.In[1], n.In[2], n.In[3]
	if x.Elem != loop.F32 || w.Elem != loop.F32 || w.Const == nil || len(w.Shape) != 2 || len(x.Shape) < 1 {
		return fmt.Errorf("operands of wrong type or rank")
	}
	if err := ir.Equal(x.Shape[len(x.Shape)-1], w.Shape[0]); err != nil {
		return err
	}
	shape := append(append([]sym.Dim{}, x.Shape[:len(x.Shape)-1]...), w.Shape[1])
	if bias != nil && (len(bias.Shape) != 1 || bias.Shape[0] != w.Shape[1]) {
		return fmt.Errorf("bias of shape %v for %v columns", bias.Shape, w.Shape[1])
	}
	if res != nil && !ir.SameShape(res.Shape, shape) {
		return fmt.Errorf("residual of shape %v for a result of %v", res.Shape, shape)
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, shape
	return nil
}

// Activation is the elementwise operator that the attribute names, with its own attribute; nil for none.
func (a LinearAttr) Activation() (*ir.Op, any) {
	switch a.Act {
	case "":
		return nil, nil
	case "gelu":
		return Gelu, GeluAttr{Tanh: a.Tanh}
	case "silu":
		return Silu, SiluAttr{Alpha: a.Alpha}
	case "leakyrelu":
		return LeakyRelu, LeakyReluAttr{Alpha: a.Alpha}
	case "clamp":
		return Clamp, ClampAttr{a.Lo, a.Hi}
	}
	return ir.Ops()[a.Act], nil
}

// EpilogueKernel is what a Linear does to one row after the product: bias, then the activation, then the residual.
func EpilogueKernel(a LinearAttr, bias, residual bool) *loop.Kernel {
	b := loop.NewBuilder("epilogue")
	x := b.Buffer(loop.Buf{Elem: loop.F32})
	var pb, pr int
	if bias {
		pb = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	if residual {
		pr = b.Buffer(loop.Buf{Elem: loop.F32})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	join := b.Add
	if a.Times {
		join = b.Mul
	}
	b.Loop(func() {
		v := b.Load(x)
		if bias {
			v = b.Add(v, b.Load(pb))
		}
		if residual && a.Last {
			v = join(v, b.Load(pr))
		}
		if op, attr := a.Activation(); op != nil {
			v = op.Elem(b, &ir.Node{Op: op, Attr: attr}, []loop.Val{v})
		}
		if residual && !a.Last {
			v = join(v, b.Load(pr))
		}
		b.Store(y, v)
	})
	return b.Kernel()
}

func evalLinear(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	cols := shape[len(shape)-1]
	rows := ir.NumElements(shape[:len(shape)-1])
	x := &ir.Tensor{Elem: loop.F32, Shape: []int64{rows, in[1].Shape[0]}, Data: in[0].Data}
	y := matmul(x, in[1], []int64{rows, cols})
	if err := epilogue(n.Attr.(LinearAttr), y, in[2], in[3]); err != nil {
		return nil, err
	}
	y.Shape = shape
	return []*ir.Tensor{y}, nil
}

// epilogue runs EpilogueKernel on the rows of y in place; bias and residual may be nil.
func epilogue(a LinearAttr, y, bias, res *ir.Tensor) error {
	k, cols := EpilogueKernel(a, bias != nil, res != nil), y.Shape[len(y.Shape)-1]
	for r := range ir.NumElements(y.Shape[:len(y.Shape)-1]) {
		bufs := []loop.Buffer{rowOf(y, r, cols)}
		if bias != nil {
			bufs = append(bufs, rowOf(bias, 0, cols))
		}
		if res != nil {
			bufs = append(bufs, rowOf(res, r, cols))
		}
		if err := k.Run(int(cols), append(bufs, rowOf(y, r, cols))...); err != nil {
			return err
		}
	}
	return nil
}

// row is a row of an f32 tensor as the interpreter of kernels sees it.
type row []float32

func rowOf(t *ir.Tensor, r, n int64) row { return row(ir.Slice[float32](t)[r*n : (r+1)*n]) }

func (r row) At(i int) loop.Scalar     { return loop.Scalar{F: float64(r[i])} }
func (r row) Set(i int, v loop.Scalar) { r[i] = float32(v.F) }
