package op

import (
	"fmt"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	for name, kind := range map[string]string{"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"} {
		ir.FromONNX("", name, 1, func(c *ir.Import) error { return readRecurrent(c, kind) })
	}
}

// layer is a recurrent ONNX operator being read.
type layer struct {
	*builder
	kind               string
	acts               []string
	gates              int64
	hidden             sym.Dim
	x, w, r, bias      *ir.Value
	lens, h0, c0, peep *ir.Value
	mask               *ir.Value
}

// readRecurrent reads each direction as the products with the input weights, for all of the time at once, and a Recurrent.
func readRecurrent(c *ir.Import, kind string) error {
	b := &builder{c: c}
	l := &layer{builder: b, kind: kind, gates: Gates[kind], x: b.need(0), w: b.need(1), r: b.need(2), bias: c.Value(3), lens: c.Value(4), h0: c.Value(5)}
	if kind == "lstm" {
		l.c0, l.peep = c.Value(6), c.Value(7)
	}
	if b.err != nil {
		return b.err
	}
	if len(l.x.Shape) != 3 || len(l.w.Shape) != 3 || len(l.r.Shape) != 3 {
		return fmt.Errorf("operands of rank %d, %d and %d, want 3", len(l.x.Shape), len(l.w.Shape), len(l.r.Shape))
	}
	l.hidden = l.r.Shape[2]
	batchFirst := c.Int("layout", 0) != 0
	if batchFirst {
		l.x = b.transpose(l.x, 1, 0, 2)
		l.h0, l.c0 = l.swap(l.h0), l.swap(l.c0)
	}
	reverse := map[string][]bool{"forward": {false}, "reverse": {true}, "bidirectional": {false, true}}[c.Str("direction", "forward")]
	if reverse == nil || !l.r.Shape[0].Is(int64(len(reverse))) {
		return fmt.Errorf("direction %.40q with weights for %v directions", c.Str("direction", "forward"), l.r.Shape[0])
	}
	if err := l.activations(len(reverse)); err != nil {
		return err
	}
	l.masks()
	var parts [3][]*ir.Value
	for d, rev := range reverse {
		for i, v := range l.direction(int64(d), rev) {
			parts[i] = append(parts[i], v)
		}
	}
	if b.err != nil {
		return b.err
	}
	return l.results(parts, batchFirst)
}

func (l *layer) swap(v *ir.Value) *ir.Value {
	if v == nil {
		return nil
	}
	return l.transpose(v, 1, 0, 2)
}

// results joins the directions: y [time, directions, batch, hidden] and the last states [directions, batch, hidden], or batch first.
func (l *layer) results(parts [3][]*ir.Value, batchFirst bool) error {
	steps, batch := l.x.Shape[0], l.x.Shape[1]
	var ys, ends [2][]*ir.Value
	for _, y := range parts[0] {
		ys[0] = append(ys[0], l.reshape(y, dims(steps, 1, batch, l.hidden)))
	}
	out := []*ir.Value{l.concat(1, ys[0]...)}
	for i := range ends {
		for _, v := range parts[1+i] {
			ends[i] = append(ends[i], l.reshape(v, dims(1, batch, l.hidden)))
		}
		out = append(out, l.concat(0, ends[i]...))
	}
	if batchFirst {
		out[0] = l.transpose(out[0], 2, 0, 1, 3)
		out[1], out[2] = l.transpose(out[1], 1, 0, 2), l.transpose(out[2], 1, 0, 2)
	}
	if l.kind != "lstm" {
		out = out[:2]
	}
	return l.done(out...)
}

// activations lists the functions of every direction, with their numbers.
func (l *layer) activations(directions int) error {
	each := map[string][]string{"lstm": {"Sigmoid", "Tanh", "Tanh"}, "gru": {"Sigmoid", "Tanh"}, "rnn": {"Tanh"}}[l.kind]
	var names []string
	for range directions {
		names = append(names, each...)
	}
	if given := l.c.Attrs["activations"].Strings; len(given) > 0 {
		if len(given) != len(names) {
			return fmt.Errorf("%d activations, want %d", len(given), len(names))
		}
		names = given
	}
	alphas, betas := l.c.Attrs["activation_alpha"].Floats, l.c.Attrs["activation_beta"].Floats
	take := func(list *[]float32, takes bool, def float32) float32 {
		if !takes || len(*list) == 0 {
			return def
		}
		x := (*list)[0]
		*list = (*list)[1:]
		return x
	}
	for _, n := range names {
		def, known := activationDefaults[strings.ToLower(n)]
		if !known {
			return ir.NotSupported("activation %.40q", n)
		}
		alpha := take(&alphas, def.takes > 0, def.alpha)
		beta := take(&betas, def.takes > 1, def.beta)
		l.acts = append(l.acts, fmt.Sprintf("%s:%g:%g", def.name, alpha, beta))
	}
	return nil
}

// activationDefaults are the numbers that the activations take, and their defaults.
var activationDefaults = map[string]struct {
	activation
	takes int
}{
	"sigmoid": {activation{"Sigmoid", 0, 0}, 0}, "tanh": {activation{"Tanh", 0, 0}, 0}, "relu": {activation{"Relu", 0, 0}, 0},
	"softsign": {activation{"Softsign", 0, 0}, 0}, "affine": {activation{"Affine", 1, 0}, 2}, "leakyrelu": {activation{"LeakyRelu", 0.01, 0}, 1},
	"thresholdedrelu": {activation{"ThresholdedRelu", 1, 0}, 1}, "scaledtanh": {activation{"ScaledTanh", 1, 1}, 2},
	"hardsigmoid": {activation{"HardSigmoid", 0.2, 0.5}, 2}, "elu": {activation{"Elu", 1, 0}, 1},
}

// masks makes 1 where a step is within its sequence, else 0, unless every sequence is whole.
func (l *layer) masks() {
	if l.lens == nil || l.err != nil {
		return
	}
	if t, ok := l.x.Shape[0].Const(); ok && l.lens.Const != nil {
		whole := true
		for i := range l.lens.Const.Len() {
			whole = whole && l.lens.Const.At(i).I == t
		}
		if whole {
			return
		}
	}
	steps := l.reshape(l.iota(0, l.x.Shape[0]), dims(l.x.Shape[0], 1))
	l.mask = l.cast(l.do(Less, nil, steps, l.cast(l.lens, loop.I64)), loop.F32)
}

// one is entry d of the first axis, without that axis.
func (l *layer) one(v *ir.Value, d int64) *ir.Value {
	if v == nil || !l.hasAxis(v, 0) {
		return nil
	}
	return l.reshape(l.slice(v, 0, sym.Const(d), sym.Const(1)), v.Shape[1:])
}

func (l *layer) direction(d int64, reverse bool) []*ir.Value {
	w, r := l.transpose(l.one(l.w, d), 1, 0), l.transpose(l.one(l.r, d), 1, 0)
	x := l.do(MatMul, nil, l.x, w)
	g := l.hidden.Mul(sym.Const(l.gates))
	var rb *ir.Value
	flag := l.c.Int("input_forget", 0)
	if l.kind == "gru" {
		flag = l.c.Int("linear_before_reset", 0)
	}
	if bias := l.one(l.bias, d); bias != nil {
		wb, rest := l.slice(bias, 0, sym.Const(0), g), l.slice(bias, 0, g, g)
		if l.kind == "gru" && flag != 0 {
			two := l.hidden.Mul(sym.Const(2))
			rb = l.slice(rest, 0, two, l.hidden)
			rest = l.concat(0, l.slice(rest, 0, sym.Const(0), two), l.expand(l.scalar(0), dims(l.hidden)))
		}
		x = l.add(x, l.add(wb, rest))
	}
	n := len(l.acts) / max(1, int(dimOr(l.r.Shape[0], 1)))
	a := RecurrentAttr{Kind: l.kind, Acts: strings.Join(l.acts[int(d)*n:(int(d)+1)*n], ";"), Clip: l.c.Float("clip", 0), Flag: flag != 0, Reverse: reverse}
	return l.all(Recurrent, a, x, r, l.one(l.h0, d), l.one(l.c0, d), l.one(l.peep, d), rb, l.mask)
}

func dimOr(d sym.Dim, def int64) int64 {
	if n, ok := d.Const(); ok {
		return n
	}
	return def
}
