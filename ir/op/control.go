package op

import (
	"errors"
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "If", 1, readIf)
	ir.FromONNX("", "Loop", 1, readLoop)
	ir.FromONNX("", "Scan", 9, readScan)
}

// maxUnrolled is the most iterations of a loop.
const maxUnrolled = 1 << 12

// readIf reads the branch that is taken where that is known. Otherwise it reads both and chooses between their results, which then must
// agree in type and shape.
func readIf(c *ir.Import) error {
	cond, err := c.Need(0)
	if err != nil {
		return err
	}
	then, other := c.Attrs["then_branch"].Body, c.Attrs["else_branch"].Body
	if then == nil || other == nil || cond.Elem != loop.Bool {
		return fmt.Errorf("a condition of %v, and two branches are needed", cond.Elem)
	}
	if taken, ok := constantOf(cond); ok {
		if taken != 0 {
			return c.Return(then(nil))
		}
		return c.Return(other(nil))
	}
	yes, err1 := then(nil)
	no, err2 := other(nil)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if len(yes) != len(no) {
		return fmt.Errorf("branches of %d and %d results", len(yes), len(no))
	}
	b := &builder{c: c}
	flag := b.reshape(cond, nil)
	out := make([]*ir.Value, len(yes))
	for i, v := range yes {
		out[i] = b.choose(cond, flag, v, no[i])
	}
	return b.done(out...)
}

// constantOf is the one content of a bool or integer value, if it is known.
func constantOf(v *ir.Value) (int64, bool) {
	if ds := v.Contents(); len(ds) == 1 {
		return ds[0].Const()
	}
	return 0, false
}

// choose is one of two values of the same type and shape.
func (b *builder) choose(cond, flag, yes, no *ir.Value) *ir.Value {
	if b.err != nil || yes == no {
		return yes
	}
	if yes.Sequence || no.Sequence || yes.Elem != no.Elem || len(yes.Shape) != len(no.Shape) {
		return b.fail(ir.UnknownContents(cond, "branches of different types, and a condition that depends on data"))
	}
	for i, d := range yes.Shape {
		if d != no.Shape[i] {
			return b.fail(ir.UnknownContents(cond, "branches of shapes %v and %v, and a condition that depends on data", yes.Shape, no.Shape))
		}
	}
	return b.do(Where, nil, flag, yes, no)
}

// loopState is a Loop or Scan being unrolled.
type loopState struct {
	*builder
	vars  []*ir.Value
	scans [][]*ir.Value // the results of every iteration that are put together
}

// readLoop reads the body once for every iteration. How many there are must be known; a condition that depends on data keeps the old
// values once it is false.
func readLoop(c *ir.Import) error {
	body := c.Attrs["body"].Body
	if body == nil {
		return fmt.Errorf("it has no body")
	}
	trips, cond := c.Value(0), c.Value(1)
	most := int64(maxUnrolled + 1)
	if trips != nil {
		n, ok := constantOf(trips)
		if !ok {
			return ir.UnknownContents(trips, "a Loop whose number of iterations is not known")
		}
		most = max(n, 0)
	}
	if cond == nil {
		cond = ir.ConstValue("", boolTensor(true))
	}
	l := &loopState{builder: &builder{c: c}}
	if len(c.Inputs) > 2 {
		l.vars = append(l.vars, c.Inputs[2:]...)
	}
	for i := int64(0); i < most; i++ {
		again, known := constantOf(cond)
		if known && again == 0 {
			break
		}
		if i >= maxUnrolled {
			return ir.UnknownContents(cond, "a Loop of more than %d iterations, or whose end depends on data", maxUnrolled)
		}
		if !known && (trips == nil || l.hasScans(c)) {
			return ir.UnknownContents(cond, "a Loop whose end depends on data")
		}
		next, err := l.iterate(body, i, cond, known)
		if err != nil {
			return err
		}
		cond = next
	}
	return l.finish(c.NumOut, nil)
}

func (l *loopState) hasScans(c *ir.Import) bool { return c.NumOut > len(l.vars) }

func boolTensor(v bool) *ir.Tensor {
	t := ir.NewTensor(loop.Bool)
	t.Set(0, loop.Scalar{I: b2i(v)})
	return t
}

// iterate reads the body once; it gives the condition for the next iteration.
func (l *loopState) iterate(body func([]*ir.Value) ([]*ir.Value, error), i int64, cond *ir.Value, known bool) (*ir.Value, error) {
	in := append([]*ir.Value{scalarInt(i), cond}, l.vars...)
	out, err := body(in)
	if err != nil {
		return nil, err
	}
	n := len(l.vars)
	if len(out) < n+1 {
		return nil, fmt.Errorf("a body of %d results for %d values", len(out), n)
	}
	next := out[0]
	if !known {
		flag := l.reshape(cond, nil)
		for k := range l.vars {
			out[1+k] = l.choose(cond, flag, out[1+k], l.vars[k])
		}
		next = l.do(And, nil, l.reshape(next, nil), flag)
	}
	l.vars = out[1 : 1+n : 1+n]
	l.collect(out[1+n:])
	return next, l.err
}

func (l *loopState) collect(out []*ir.Value) {
	for len(l.scans) < len(out) {
		l.scans = append(l.scans, nil)
	}
	for k, v := range out {
		l.scans[k] = append(l.scans[k], v)
	}
}

// finish puts the results of the iterations together along the axes, by default the first.
func (l *loopState) finish(count int, axes func(k int, rank int) (axis int, reverse bool, err error)) error {
	out := append([]*ir.Value{}, l.vars...)
	for k := 0; len(out) < count || k < len(l.scans); k++ {
		if k >= len(l.scans) {
			return ir.NotSupported("the collected results of a loop without iterations")
		}
		axis, reverse := 0, false
		if axes != nil {
			var err error
			if axis, reverse, err = axes(k, len(l.scans[k][0].Shape)+1); err != nil {
				return err
			}
		}
		parts := make([]*ir.Value, len(l.scans[k]))
		for i, v := range l.scans[k] {
			if v.Sequence {
				return ir.NotSupported("sequences collected by a loop")
			}
			if reverse {
				i = len(parts) - 1 - i
			}
			parts[i] = l.reshape(v, dims(v.Shape[:axis], 1, v.Shape[axis:]))
		}
		out = append(out, l.concat(axis, parts...))
	}
	return l.done(out...)
}

// readScan reads the body once for every entry of the scanned axis.
func readScan(c *ir.Import) error {
	body := c.Attrs["body"].Body
	m := int(c.Int("num_scan_inputs", 0))
	n := len(c.Inputs) - m
	if body == nil || m < 1 || n < 0 {
		return fmt.Errorf("%d of %d inputs are scanned", m, len(c.Inputs))
	}
	l := &loopState{builder: &builder{c: c}, vars: append([]*ir.Value{}, c.Inputs[:n]...)}
	if c.Opset < 9 {
		return ir.NotSupported("Scan of opset %d", c.Opset)
	}
	scanned, steps, err := scanInputs(c, c.Inputs[n:])
	if err != nil {
		return err
	}
	for i := range steps {
		in := append([]*ir.Value{}, l.vars...)
		for _, s := range scanned {
			k := i
			if s.reverse {
				k = steps - 1 - i
			}
			part := l.slice(s.v, s.axis, sym.Const(k), sym.Const(1))
			in = append(in, l.reshape(part, dims(s.v.Shape[:s.axis], s.v.Shape[s.axis+1:])))
		}
		if l.err != nil {
			return l.err
		}
		out, err := body(in)
		if err != nil {
			return err
		}
		if len(out) < n {
			return fmt.Errorf("a body of %d results for %d values", len(out), n)
		}
		l.vars = out[:n:n]
		l.collect(out[n:])
	}
	outAxes, _ := c.Ints("scan_output_axes")
	outDirs, _ := c.Ints("scan_output_directions")
	return l.finish(c.NumOut, func(k, rank int) (int, bool, error) {
		axis := int64(0)
		if k < len(outAxes) {
			axis = outAxes[k]
		}
		a, err := axisOf(axis, rank)
		return a, k < len(outDirs) && outDirs[k] != 0, err
	})
}

type scanned struct {
	v       *ir.Value
	axis    int
	reverse bool
}

// scanInputs gives the scanned inputs with their axes, and the number of entries.
func scanInputs(c *ir.Import, in []*ir.Value) ([]scanned, int64, error) {
	axes, _ := c.Ints("scan_input_axes")
	directions, _ := c.Ints("scan_input_directions")
	var list []scanned
	steps := int64(-1)
	for i, v := range in {
		axis := int64(0)
		if i < len(axes) {
			axis = axes[i]
		}
		if v == nil {
			return nil, 0, fmt.Errorf("scanned input %d is missing", i)
		}
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return nil, 0, err
		}
		n, ok := v.Shape[a].Const()
		if !ok || n > maxUnrolled || n < 1 {
			return nil, 0, ir.NotSupported("a Scan over %v entries", v.Shape[a])
		}
		if steps >= 0 && n != steps {
			return nil, 0, fmt.Errorf("scanned inputs of %d and %d entries", steps, n)
		}
		steps = n
		list = append(list, scanned{v, a, i < len(directions) && directions[i] != 0})
	}
	return list, steps, nil
}
