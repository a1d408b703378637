package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
)

// The steps of training that ai.onnx.preview.training knows: inputs are the rate R, the count T of steps and then, for n tensors, n values
// X, n gradients G and n of each state; outputs are n new values and n of each new state.
func init() {
	steps := map[string]optimizer{
		"Adagrad":  {1, (*builder).adagrad},
		"Adam":     {2, (*builder).adam},
		"Momentum": {1, (*builder).momentum},
	}
	for name, o := range steps {
		ir.FromONNX("ai.onnx.preview.training", name, 1, o.read)
	}
}

// optimizer is a step for one tensor with so many states; the results are the new value and the new states.
type optimizer struct {
	states int
	step   func(b *builder, rate, count, x, g *ir.Value, states []*ir.Value) []*ir.Value
}

func (o optimizer) read(c *ir.Import) error {
	kinds := 2 + o.states
	n := (len(c.Inputs) - 2) / kinds
	if n < 1 || len(c.Inputs) != 2+n*kinds {
		return fmt.Errorf("%d inputs, want a rate, a count and %d for each tensor", len(c.Inputs), kinds)
	}
	in, err := c.NeedAll(len(c.Inputs))
	if err != nil {
		return err
	}
	b := &builder{c: c}
	out := make([]*ir.Value, n*(1+o.states))
	for i := range n {
		x, g := in[2+i], in[2+n+i]
		var states []*ir.Value
		for s := range o.states {
			states = append(states, in[2+(2+s)*n+i])
		}
		g = b.add(b.mul(x, b.like(x, float64(c.Float("norm_coefficient", 0)))), g)
		for k, v := range o.step(b, in[0], in[1], x, g, states) {
			out[k*n+i] = v
		}
	}
	return b.done(out...)
}

// mix is p x + q y.
func (b *builder) mix(p float64, x *ir.Value, q float64, y *ir.Value) *ir.Value {
	return b.add(b.mul(x, b.like(x, p)), b.mul(y, b.like(y, q)))
}

// adagrad is the method of Duchi et al., 2011.
func (b *builder) adagrad(rate, count, x, g *ir.Value, states []*ir.Value) []*ir.Value {
	t := b.cast(count, rate.Elem)
	decayed := b.add(b.mul(t, b.like(t, float64(b.c.Float("decay_factor", 0)))), b.like(rate, 1))
	h := b.add(states[0], b.mul(g, g))
	root := b.add(b.do(Sqrt, nil, h), b.like(x, float64(b.c.Float("epsilon", 1e-6))))
	return []*ir.Value{b.sub(x, b.div(b.mul(b.div(rate, decayed), g), root)), h}
}

// adam is the method of Kingma and Ba, 2015.
func (b *builder) adam(rate, count, x, g *ir.Value, states []*ir.Value) []*ir.Value {
	alpha, beta := float64(b.c.Float("alpha", 0.9)), float64(b.c.Float("beta", 0.999))
	v := b.mix(alpha, states[0], 1-alpha, g)
	h := b.mix(beta, states[1], 1-beta, b.mul(g, g))
	root := b.add(b.do(Sqrt, nil, h), b.like(x, float64(b.c.Float("epsilon", 1e-6))))
	t := b.cast(count, loop.F64)
	left := func(base float64) *ir.Value { return b.sub(b.like(t, 1), b.do(Pow, nil, b.like(t, base), t)) }
	warm := b.cast(b.div(b.do(Sqrt, nil, left(beta)), left(alpha)), rate.Elem)
	if b.err != nil {
		return nil
	}
	rate = b.mul(rate, b.do(Where, nil, b.do(Less, nil, ir.Scalar(count.Elem, 0), count), warm, b.like(rate, 1)))
	next := b.sub(x, b.div(b.mul(rate, v), root))
	return []*ir.Value{b.mul(next, b.like(next, 1-float64(b.c.Float("norm_coefficient_post", 0)))), v, h}
}

// momentum is gradient descent with momentum, Nesterov's if the attribute mode says so.
func (b *builder) momentum(rate, count, x, g *ir.Value, states []*ir.Value) []*ir.Value {
	alpha, mode := float64(b.c.Float("alpha", 0)), b.c.Str("mode", "standard")
	if mode != "standard" && mode != "nesterov" && b.err == nil {
		b.err = fmt.Errorf("mode %.40q", mode)
	}
	if b.err != nil {
		return nil
	}
	beta := b.do(Where, nil, b.do(Less, nil, ir.Scalar(count.Elem, 0), count), b.like(g, float64(b.c.Float("beta", 1))), b.like(g, 1))
	v := b.add(b.mul(states[0], b.like(x, alpha)), b.mul(beta, g))
	by := v
	if mode == "nesterov" {
		by = b.add(g, b.mul(v, b.like(v, alpha)))
	}
	return []*ir.Value{b.sub(x, b.mul(rate, by)), v}
}
