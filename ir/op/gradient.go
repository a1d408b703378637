package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() { ir.FromONNX("ai.onnx.preview.training", "Gradient", 1, readGradient) }

// backward gives what flows back to each input of a node, nil where nothing does, from what flows back to its output.
type backward func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value

// backwards are the operators that can be differentiated.
var backwards map[*ir.Op]backward

func init() {
	times := func(f func(b *builder, x, y *ir.Value) *ir.Value) backward {
		return func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
			return []*ir.Value{b.mul(dy, f(b, n.In[0], n.Out[0]))}
		}
	}
	backwards = map[*ir.Op]backward{
		Add: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value { return []*ir.Value{dy, dy} },
		Sub: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value { return []*ir.Value{dy, b.do(Neg, nil, dy)} },
		Mul: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
			return []*ir.Value{b.mul(dy, n.In[1]), b.mul(dy, n.In[0])}
		},
		Div: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
			return []*ir.Value{b.div(dy, n.In[1]), b.do(Neg, nil, b.mul(dy, b.div(n.Out[0], n.In[1])))}
		},
		Neg:  times(func(b *builder, x, y *ir.Value) *ir.Value { return b.like(x, -1) }),
		Exp:  times(func(b *builder, x, y *ir.Value) *ir.Value { return y }),
		Log:  times(func(b *builder, x, y *ir.Value) *ir.Value { return b.div(b.like(x, 1), x) }),
		Sin:  times(func(b *builder, x, y *ir.Value) *ir.Value { return b.do(Cos, nil, x) }),
		Cos:  times(func(b *builder, x, y *ir.Value) *ir.Value { return b.do(Neg, nil, b.do(Sin, nil, x)) }),
		Sqrt: times(func(b *builder, x, y *ir.Value) *ir.Value { return b.div(b.like(x, 0.5), y) }),
		Tanh: times(func(b *builder, x, y *ir.Value) *ir.Value { return b.sub(b.like(x, 1), b.mul(y, y)) }),
		Sigmoid: times(func(b *builder, x, y *ir.Value) *ir.Value {
			return b.mul(y, b.sub(b.like(x, 1), y))
		}),
		Relu: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
			zero := b.like(dy, 0)
			return []*ir.Value{b.do(Where, nil, b.do(Less, nil, zero, n.In[0]), dy, zero)}
		},
		MatMul:    matmulBackward,
		Transpose: transposeBackward,
		Reshape: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
			return []*ir.Value{b.reshape(dy, n.In[0].Shape)}
		},
		Expand: func(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value { return []*ir.Value{dy} },
		Reduce: reduceBackward,
	}
}

func matmulBackward(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
	turned := func(v *ir.Value) *ir.Value {
		r := len(v.Shape)
		return b.transpose(v, swapped(r, r-1, r-2)...)
	}
	return []*ir.Value{b.do(MatMul, nil, dy, turned(n.In[1])), b.do(MatMul, nil, turned(n.In[0]), dy)}
}

func transposeBackward(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
	perm := n.Attr.(TransposeAttr).Perm.List()
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return []*ir.Value{b.transpose(dy, back...)}
}

func reduceBackward(b *builder, n *ir.Node, dy *ir.Value) []*ir.Value {
	x, kind := n.In[0], n.Attr.(ReduceAttr).Kind
	last := len(x.Shape) - 1
	dx := b.expand(b.reshape(dy, dims(dy.Shape, 1)), x.Shape)
	switch size, ok := x.Shape[last].Const(); {
	case kind == "sum":
	case kind == "sumsq":
		dx = b.mul(dx, b.mul(x, b.like(x, 2)))
	case kind == "mean" && ok:
		dx = b.div(dx, b.like(x, float64(size)))
	default:
		return []*ir.Value{b.fail(ir.NotSupported("the gradient of a reduction by %s", kind))}
	}
	return []*ir.Value{dx}
}

// summedTo adds up v along the axes that an operand of the given shape was repeated along.
func (b *builder) summedTo(v *ir.Value, shape []sym.Dim) *ir.Value {
	if b.err != nil || ir.SameShape(v.Shape, shape) {
		return v
	}
	var axes []int64
	more := len(v.Shape) - len(shape)
	for a := range v.Shape {
		if a < more || shape[a-more].Is(1) && !v.Shape[a].Is(1) {
			axes = append(axes, int64(a))
		}
	}
	return b.reshape(b.reduce(v, "sum", true, axes...), shape)
}

// readGradient writes out the derivatives of y, summed over its elements, with respect to xs, by going backwards through the graph read
// so far (ai.onnx.preview.training Gradient, version 1). The derivatives are taken where the graph itself runs: the node's inputs must be
// xs, and zs, themselves.
func readGradient(c *ir.Import) error {
	xs := c.Attrs["xs"].Strings
	for i, name := range append(append([]string{}, xs...), c.Attrs["zs"].Strings...) {
		v, err := c.Need(i)
		if err != nil {
			return err
		}
		if c.Lookup(name) != v {
			return ir.NotSupported("a gradient at other values than the graph's own")
		}
	}
	y := c.Lookup(c.Str("y", ""))
	if y == nil || y.Elem != loop.F32 {
		return fmt.Errorf("y, %.40q, is no f32 value computed before", c.Str("y", ""))
	}
	b := &builder{c: c}
	flow := map[*ir.Value]*ir.Value{y: b.expand(b.reshape(ir.Scalar(loop.F32, 1), dims()), y.Shape)}
	stop := map[*ir.Value]bool{}
	for i := range xs {
		stop[c.Inputs[i]] = true
	}
	forward := c.Graph.Nodes
	follows := dependants(forward, stop)
	for i := len(forward) - 1; i >= 0; i-- {
		if !follows[forward[i]] {
			continue
		}
		if err := b.backThrough(forward[i], flow, stop); err != nil {
			return err
		}
	}
	out := make([]*ir.Value, len(xs))
	for i := range xs {
		x := c.Inputs[i]
		if out[i] = flow[x]; out[i] == nil {
			out[i] = b.expand(b.reshape(ir.Scalar(loop.F32, 0), dims()), x.Shape)
		}
	}
	return b.done(out...)
}

// backThrough adds what a node gives back to its inputs to what has flown to them so far.
func (b *builder) backThrough(n *ir.Node, flow map[*ir.Value]*ir.Value, stop map[*ir.Value]bool) error {
	var dy *ir.Value
	for _, v := range n.Out {
		if flow[v] != nil && !stop[v] {
			dy = flow[v]
		}
	}
	if dy == nil {
		return nil
	}
	rule := backwards[n.Op]
	if rule == nil || len(n.Out) != 1 {
		return ir.NotSupported("the gradient of %s", n.Op.Name)
	}
	for k, dx := range rule(b, n, dy) {
		x := n.In[k]
		if b.err != nil || x.Elem != loop.F32 {
			continue
		}
		dx = b.summedTo(dx, x.Shape)
		if flow[x] != nil {
			dx = b.add(flow[x], dx)
		}
		flow[x] = dx
	}
	return b.err
}

// dependants are the nodes that any of the values leads to.
func dependants(nodes []*ir.Node, values map[*ir.Value]bool) map[*ir.Node]bool {
	out := map[*ir.Node]bool{}
	for _, n := range nodes {
		for _, v := range n.In {
			if v != nil && (values[v] || out[v.Def]) {
				out[n] = true
			}
		}
	}
	return out
}
