package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// LinearAttention runs the recurrence of linear attention over time (Katharopoulos et al., 2020; with the delta rule, Yang et al., 2024).
// Inputs, all f32: queries [batch, time, heads*d], keys [batch, time, kv*d], values [batch, time, kv*e], the first state
// [batch, kv, d, e]; then, each or nil, factors of the state [batch, time, kv*d or kv] and update rates [batch, time, kv or 1], with which
// the state is corrected by what it already holds. Outputs: [batch, time, heads*e] times Scale, and the last state.
var LinearAttention = ir.NewOp("linearattention", "attention whose state is a matrix for each head", LinearAttentionAttr{})

// LinearAttentionAttr holds the number of heads of the queries.
type LinearAttentionAttr struct {
	Heads int64
	Scale float32
}

func init() {
	LinearAttention.NumOut = 2
	LinearAttention.Run = plain.LinearAttention
	LinearAttention.Infer = inferLinearAttention
	LinearAttention.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(LinearAttentionAttr)
		return ir.PlainCall{Func: "LinearAttention", Ints: []int64{a.Heads}, Floats: []float64{float64(a.Scale)}}
	}
	ir.FromONNX("", "LinearAttention", 27, readLinearAttention)
}

func inferLinearAttention(n *ir.Node) error {
	if len(n.In) != 6 || len(n.In[0].Shape) != 3 || len(n.In[3].Shape) != 4 {
		return fmt.Errorf("%d inputs, want queries, keys, values [batch, time, …], a state of four axes, factors, rates", len(n.In))
	}
	q, state := n.In[0].Shape, n.In[3].Shape
	heads, kv := sym.Const(n.Attr.(LinearAttentionAttr).Heads), state[1]
	if _, ok := heads.Div(kv); !ok {
		return fmt.Errorf("%v heads of queries for %v of keys", heads, kv)
	}
	want := [][]sym.Dim{dims(q[:2], heads.Mul(state[2])), dims(q[:2], kv.Mul(state[2])), dims(q[:2], kv.Mul(state[3])), dims(q[0], state[1:])}
	for i, v := range n.In {
		switch {
		case v == nil:
		case v.Elem != loop.F32:
			return ir.NotSupported("LinearAttention of %v", v.Elem)
		case i < len(want) && !ir.SameShape(v.Shape, want[i]):
			return fmt.Errorf("input %d of shape %v, want %v", i, v.Shape, want[i])
		case i >= len(want) && (len(v.Shape) != 3 || !ir.SameShape(v.Shape[:2], q[:2])):
			return fmt.Errorf("input %d of shape %v, want a row for each of %v", i, v.Shape, q[:2])
		}
	}
	if g := n.In[4]; g != nil && g.Shape[2] != kv && g.Shape[2] != kv.Mul(state[2]) {
		return fmt.Errorf("factors of shape %v for %v heads of size %v", g.Shape, kv, state[2])
	}
	if r := n.In[5]; r != nil && r.Shape[2] != kv && !r.Shape[2].Is(1) {
		return fmt.Errorf("rates of shape %v for %v heads", r.Shape, kv)
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(q[:2], heads.Mul(state[3]))
	n.Out[1].Elem, n.Out[1].Shape = loop.F32, state
	return nil
}

// readLinearAttention reads the operator of opset 27; what the update rule does not use is left out.
func readLinearAttention(c *ir.Import) error {
	b := &builder{c: c}
	q, k, v := b.need(0), b.need(1), b.need(2)
	if b.err != nil {
		return b.err
	}
	heads, kv := c.Int("q_num_heads", 0), c.Int("kv_num_heads", 0)
	if heads < 1 || kv < 1 || heads%kv != 0 || len(q.Shape) != 3 || len(k.Shape) != 3 || len(v.Shape) != 3 {
		return fmt.Errorf("%d and %d heads of shapes %v, %v, %v", heads, kv, q.Shape, k.Shape, v.Shape)
	}
	d, dividedK := k.Shape[2].Div(sym.Const(kv))
	e, dividedV := v.Shape[2].Div(sym.Const(kv))
	if !dividedK || !dividedV {
		return fmt.Errorf("%d heads do not divide %v and %v", kv, k.Shape[2], v.Shape[2])
	}
	scale := float32(b.headScale("LinearAttention", float64(c.Float("scale", 0)), d))
	if b.err != nil {
		return b.err
	}
	state, stored := c.Value(3), q.Elem
	if state == nil {
		state = b.expand(b.scalar(0), dims(q.Shape[0], kv, d, e))
	} else {
		stored = state.Elem
	}
	factors, rates, err := b.updateRule(c.Str("update_rule", "gated_delta"))
	if err != nil {
		return err
	}
	wide := func(v *ir.Value) *ir.Value {
		if v == nil {
			return nil
		}
		return b.cast(v, loop.F32)
	}
	out := b.all(LinearAttention, LinearAttentionAttr{heads, scale}, wide(q), wide(k), wide(v), wide(state), wide(factors), wide(rates))
	return b.done(b.cast(out[0], q.Elem), b.cast(out[1], stored))
}

// updateRule gives the factors of the state, exp(decay), and the update rates; nil where the rule of that name has none.
func (b *builder) updateRule(rule string) (factors, rates *ir.Value, err error) {
	gated, delta := rule == "gated" || rule == "gated_delta", rule == "delta" || rule == "gated_delta"
	if !gated && !delta && rule != "linear" {
		return nil, nil, fmt.Errorf("update_rule %.40q", rule)
	}
	if gated {
		if v := b.need(4); v != nil {
			factors = b.do(Exp, nil, b.cast(v, loop.F32))
		}
	}
	if delta {
		rates = b.need(5)
	}
	return factors, rates, b.err
}
