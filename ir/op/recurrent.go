package op

import (
	"fmt"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// RecurrentAttr describes one direction of a recurrent layer. Kind is lstm, gru or rnn. Acts are the activations, name:alpha:beta,
// separated by semicolons. Clip bounds what goes into them; 0 does not. Flag couples the input gate to the forget gate (lstm)
// or multiplies by the reset gate after the product (gru).
type RecurrentAttr struct {
	Kind, Acts    string
	Clip          float32
	Flag, Reverse bool
}

// Recurrent runs a recurrent layer over time. Inputs: the products with the input weights x [time, batch, gates*hidden] with biases; the
// recurrent weights R [hidden, gates*hidden]; then, each or nil, the first state h [batch, hidden], the first cell c [batch, hidden], the
// peephole weights [3*hidden] (input, output, forget), the bias of the recurrent part of a gru's third gate [hidden], and a mask [time, batch] that is 0
// where a sequence has ended. Outputs: the states [time, batch, hidden], the last state and the last cell (Hochreiter and Schmidhuber,
// 1997; Cho et al., 2014). Gates are in the order of ONNX: i o f c, or z r h.
var Recurrent = ir.NewOp("recurrent", "one direction of an LSTM, GRU or RNN", RecurrentAttr{})

// Gates is the number of gates of a kind.
var Gates = map[string]int64{"lstm": 4, "gru": 3, "rnn": 1}

func init() {
	Recurrent.NumOut = 3
	Recurrent.Infer = inferRecurrent
	Recurrent.Eval = evalRecurrent
}

func inferRecurrent(n *ir.Node) error {
	a := n.Attr.(RecurrentAttr)
	gates := Gates[a.Kind]
	if len(n.In) != 7 || gates == 0 || len(n.In[0].Shape) != 3 || len(n.In[1].Shape) != 2 {
		return fmt.Errorf("a recurrent layer %q of %d inputs", a.Kind, len(n.In))
	}
	if _, err := parseActivations(a.Acts); err != nil {
		return err
	}
	x, r := n.In[0], n.In[1]
	hidden := r.Shape[0]
	wide := hidden.Mul(sym.Const(gates))
	state := dims(x.Shape[1], hidden)
	want := [][]sym.Dim{{x.Shape[0], x.Shape[1], wide}, {hidden, wide}, state, state, {hidden.Mul(sym.Const(3))}, {hidden}, x.Shape[:2]}
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if v.Elem != loop.F32 || len(v.Shape) != len(want[i]) {
			return ir.NotSupported("a recurrent layer with input %d of %v%v", i, v.Elem, v.Shape)
		}
		for k, d := range want[i] {
			if err := ir.Equal(v.Shape[k], d); err != nil {
				return fmt.Errorf("input %d: %w", i, err)
			}
		}
	}
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(x.Shape[:2], hidden)
	n.Out[1].Elem, n.Out[1].Shape = loop.F32, state
	n.Out[2].Elem, n.Out[2].Shape = loop.F32, state
	return nil
}

// activation is a function of a gate with its numbers.
type activation struct {
	name        string
	alpha, beta float32
}

func parseActivations(list string) ([]activation, error) {
	var out []activation
	for _, text := range strings.Split(list, ";") {
		var a activation
		if _, err := fmt.Sscanf(strings.ReplaceAll(text, ":", " "), "%s %g %g", &a.name, &a.alpha, &a.beta); err != nil || !activations[a.name] {
			return nil, ir.NotSupported("activation %.40q", text)
		}
		out = append(out, a)
	}
	return out, nil
}

var activations = map[string]bool{"Sigmoid": true, "Tanh": true, "Relu": true, "Affine": true, "LeakyRelu": true, "ThresholdedRelu": true,
	"ScaledTanh": true, "HardSigmoid": true, "Elu": true, "Softsign": true}

func (a activation) apply(b *loop.Builder, x loop.Val) loop.Val {
	alpha, beta, zero, one := b.F(a.alpha), b.F(a.beta), b.F(0), b.F(1)
	below := func(v loop.Val) loop.Val { return b.Do(loop.Select, b.Do(loop.Lt, x, zero), v, x) }
	switch a.name {
	case "Sigmoid":
		return b.Sigmoid(x)
	case "Relu":
		return b.Do(loop.Max, x, zero)
	case "Affine":
		return b.Add(b.Mul(alpha, x), beta)
	case "LeakyRelu":
		return below(b.Mul(alpha, x))
	case "ThresholdedRelu":
		return b.Do(loop.Select, b.Do(loop.Lt, x, alpha), zero, x)
	case "ScaledTanh":
		return b.Mul(alpha, b.Tanh(b.Mul(beta, x)))
	case "HardSigmoid":
		return b.Do(loop.Max, zero, b.Do(loop.Min, one, b.Add(b.Mul(alpha, x), beta)))
	case "Elu":
		return below(b.Mul(alpha, b.Sub(b.Exp(x), one)))
	case "Softsign":
		return b.Div(x, b.Add(one, b.Do(loop.Abs, x)))
	}
	return b.Tanh(x)
}

// cell builds the kernels of one step.
type cell struct {
	*loop.Builder
	a    RecurrentAttr
	acts []activation
	h, y int
	mask int
}

func newCell(a RecurrentAttr, part string) *cell {
	acts, _ := parseActivations(a.Acts) // Infer has parsed them
	return &cell{Builder: loop.NewBuilder(a.Kind + part), a: a, acts: acts, mask: -1}
}

func (c *cell) in() int  { return c.Buffer(loop.Buf{Elem: loop.F32}) }
func (c *cell) out() int { return c.Buffer(loop.Buf{Elem: loop.F32, Out: true}) }

// states adds the buffers of the state, the result and the mask.
func (c *cell) states(masked bool) {
	c.h, c.y = c.out(), c.out()
	if masked {
		c.mask = c.Buffer(loop.Buf{Elem: loop.F32, Uniform: true})
	}
}

// gate applies activation i to x, clipped.
func (c *cell) gate(i int, x loop.Val) loop.Val {
	if c.a.Clip > 0 {
		x = c.Do(loop.Min, c.Do(loop.Max, x, c.F(-c.a.Clip)), c.F(c.a.Clip))
	}
	return c.acts[i].apply(c.Builder, x)
}

// store writes the new state, or keeps the old one where the mask is 0; the result is 0 there.
func (c *cell) store(h loop.Val) {
	if c.mask < 0 {
		c.Store(c.h, h)
		c.Store(c.y, h)
		return
	}
	ended := c.Do(loop.Eq, c.Load(c.mask), c.F(0))
	c.Store(c.y, c.Do(loop.Select, ended, c.F(0), h))
	c.Store(c.h, c.Do(loop.Select, ended, c.Load(c.h), h))
}

// LSTMCell takes the gates i o f c, the cell (read and written), the peephole weights i o f if there are any, then state, result, mask.
func LSTMCell(a RecurrentAttr, peep, masked bool) *loop.Kernel {
	c := newCell(a, "_cell")
	var g, p [4]int
	for i := range g {
		g[i] = c.in()
	}
	state := c.out()
	for i := range 3 {
		if peep {
			p[i] = c.in()
		}
	}
	c.states(masked)
	c.Loop(func() {
		old := c.Load(state)
		see := func(i int, cell loop.Val) loop.Val {
			v := c.Load(g[i])
			if peep {
				v = c.FMA(c.Load(p[i]), cell, v)
			}
			return v
		}
		f := c.gate(0, see(2, old))
		i := c.gate(0, see(0, old))
		if a.Flag {
			i = c.Sub(c.F(1), f)
		}
		next := c.Add(c.Mul(f, old), c.Mul(i, c.gate(1, c.Load(g[3]))))
		o := c.gate(0, see(1, next))
		if masked {
			next = c.Do(loop.Select, c.Do(loop.Eq, c.Load(c.mask), c.F(0)), old, next)
		}
		c.Store(state, next)
		c.store(c.Mul(o, c.acts[2].apply(c.Builder, next)))
	})
	return c.Kernel()
}

// GRUReset makes the state times the reset gate: buffers x and g of the gate, the state, the result.
func GRUReset(a RecurrentAttr) *loop.Kernel {
	c := newCell(a, "_reset")
	x, g, h, y := c.in(), c.in(), c.in(), c.out()
	c.Loop(func() { c.Store(y, c.Mul(c.gate(0, c.Add(c.Load(x), c.Load(g))), c.Load(h))) })
	return c.Kernel()
}

// GRUCell takes x and g of the gates z and h; with the product before the reset also those of r and, if there is one, the bias of g; then
// state, result, mask.
func GRUCell(a RecurrentAttr, biased, masked bool) *loop.Kernel {
	c := newCell(a, "_cell")
	xz, gz, xh, gh := c.in(), c.in(), c.in(), c.in()
	var xr, gr, bias int
	if a.Flag {
		xr, gr = c.in(), c.in()
	}
	if biased {
		bias = c.in()
	}
	c.states(masked)
	c.Loop(func() {
		z := c.gate(0, c.Add(c.Load(xz), c.Load(gz)))
		g := c.Load(gh)
		if biased {
			g = c.Add(g, c.Load(bias))
		}
		if a.Flag {
			g = c.Mul(c.gate(0, c.Add(c.Load(xr), c.Load(gr))), g)
		}
		h := c.gate(1, c.Add(c.Load(xh), g))
		c.store(c.Add(c.Mul(c.Sub(c.F(1), z), h), c.Mul(z, c.Load(c.h))))
	})
	return c.Kernel()
}

// RNNCell takes the gate, then state, result, mask.
func RNNCell(a RecurrentAttr, masked bool) *loop.Kernel {
	c := newCell(a, "_cell")
	g := c.in()
	c.states(masked)
	c.Loop(func() { c.store(c.gate(0, c.Load(g))) })
	return c.Kernel()
}

func evalRecurrent(n *ir.Node, _ sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	x, r := in[0], in[1]
	steps, batch, hidden := x.Shape[0], x.Shape[1], r.Shape[0]
	e := &recurrence{a: n.Attr.(RecurrentAttr), in: in, batch: batch, hidden: hidden, wide: r.Shape[1],
		y: ir.NewTensor(loop.F32, steps, batch, hidden), h: ir.NewTensor(loop.F32, batch, hidden), c: ir.NewTensor(loop.F32, batch, hidden)}
	if in[2] != nil {
		copy(e.h.Data, in[2].Data)
	}
	if in[3] != nil {
		copy(e.c.Data, in[3].Data)
	}
	for k := range steps {
		if e.a.Reverse {
			k = steps - 1 - k
		}
		if err := e.step(k); err != nil {
			return nil, err
		}
	}
	return []*ir.Tensor{e.y, e.h, e.c}, nil
}

// recurrence is the reference evaluator's state.
type recurrence struct {
	a                   RecurrentAttr
	in                  []*ir.Tensor
	batch, hidden, wide int64
	y, h, c             *ir.Tensor
}

// at is a view of hidden elements of a tensor from an offset on.
type at struct {
	t   *ir.Tensor
	off int64
}

func (v at) At(i int) loop.Scalar     { return v.t.At(int(v.off) + i) }
func (v at) Set(i int, s loop.Scalar) { v.t.Set(int(v.off)+i, s) }

func (e *recurrence) step(k int64) error {
	g := matmul(e.h, e.in[1], []int64{e.batch, e.wide})
	x := ir.NewTensor(loop.F32, e.batch, e.wide)
	copy(x.Data, e.in[0].Data[k*e.batch*e.wide*4:])
	if e.a.Kind != "gru" {
		p, q := ir.Slice[float32](g), ir.Slice[float32](x)
		for i := range p {
			p[i] += q[i]
		}
	}
	if e.a.Kind == "gru" && !e.a.Flag {
		if err := e.reset(g, x); err != nil {
			return err
		}
	}
	for b := range e.batch {
		if err := e.cell(k, b, g, x); err != nil {
			return err
		}
	}
	return nil
}

// reset replaces the third gate's product by that of the state times the reset gate.
func (e *recurrence) reset(g, x *ir.Tensor) error {
	rh := ir.NewTensor(loop.F32, e.batch, e.hidden)
	kernel := GRUReset(e.a)
	for b := range e.batch {
		w := b * e.wide
		if err := kernel.Run(int(e.hidden), at{x, w + e.hidden}, at{g, w + e.hidden}, at{e.h, b * e.hidden}, at{rh, b * e.hidden}); err != nil {
			return err
		}
	}
	third := copyStrided(e.in[1], []int64{e.hidden, e.hidden}, 2*e.hidden, []int64{e.wide, 1})
	p, q := ir.Slice[float32](matmul(rh, third, []int64{e.batch, e.hidden})), ir.Slice[float32](g)
	for b := range e.batch {
		copy(q[b*e.wide+2*e.hidden:], p[b*e.hidden:(b+1)*e.hidden])
	}
	return nil
}

func (e *recurrence) cell(k, b int64, g, x *ir.Tensor) error {
	gate := func(t *ir.Tensor, i int64) loop.Buffer { return at{t, b*e.wide + i*e.hidden} }
	masked := e.in[6] != nil
	var kernel *loop.Kernel
	var bufs []loop.Buffer
	switch e.a.Kind {
	case "lstm":
		kernel = LSTMCell(e.a, e.in[4] != nil, masked)
		bufs = []loop.Buffer{gate(g, 0), gate(g, 1), gate(g, 2), gate(g, 3), at{e.c, b * e.hidden}}
		for i := range int64(3) {
			if e.in[4] != nil {
				bufs = append(bufs, at{e.in[4], i * e.hidden})
			}
		}
	case "gru":
		kernel = GRUCell(e.a, e.in[5] != nil, masked)
		bufs = []loop.Buffer{gate(x, 0), gate(g, 0), gate(x, 2), gate(g, 2)}
		if e.a.Flag {
			bufs = append(bufs, gate(x, 1), gate(g, 1))
		}
		if e.in[5] != nil {
			bufs = append(bufs, at{e.in[5], 0})
		}
	default:
		kernel, bufs = RNNCell(e.a, masked), []loop.Buffer{gate(g, 0)}
	}
	bufs = append(bufs, at{e.h, b * e.hidden}, at{e.y, (k*e.batch + b) * e.hidden})
	if masked {
		bufs = append(bufs, at{e.in[6], k*e.batch + b})
	}
	return kernel.Run(int(e.hidden), bufs...)
}
