package op

import (
	"errors"
	"fmt"
	"slices"

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

// choose is one of two values of the same type and, where the program could be made for what decides, of the same shape; else they may differ
// in one axis.
func (b *builder) choose(cond, flag, yes, no *ir.Value) *ir.Value {
	if b.err != nil || yes == no {
		return yes
	}
	if yes.Sequence || no.Sequence || yes.Elem != no.Elem || len(yes.Shape) != len(no.Shape) {
		return b.fail(ir.UnknownContents(cond, "branches of different types, and a condition that depends on data"))
	}
	axis := -1
	for i, d := range yes.Shape {
		if d == no.Shape[i] {
			continue
		}
		if small, _ := cond.Sources(); axis >= 0 || len(small) > 0 {
			return b.fail(ir.UnknownContents(cond, "branches of shapes %v and %v, and a condition that depends on data", yes.Shape, no.Shape))
		}
		axis = i
	}
	if axis >= 0 {
		return b.either(flag, yes, no, axis)
	}
	return b.do(Where, nil, flag, yes, no)
}

// either keeps that part of the two values one behind the other which the condition chooses: detectors find no box, or some.
func (b *builder) either(flag, yes, no *ir.Value, axis int) *ir.Value {
	n, m := yes.Shape[axis], no.Shape[axis]
	both := b.concat(axis, yes, no)
	kept := b.concat(0, b.expand(flag, []sym.Dim{n}), b.expand(b.do(Not, nil, flag), []sym.Dim{m}))
	if b.err != nil {
		return nil
	}
	return b.do(Compress, CompressAttr{int64(axis), b.c.Graph.NewCount(n.Max(m))}, both, kept)
}

// loopState is a Loop or Scan being unrolled.
type loopState struct {
	*builder
	vars  []*ir.Value
	scans [][]*ir.Value // the results of every iteration that are put together
}

// fewTrips is how many iterations are read one by one even where the loop could stay in the program; nearEnd, how many to find out whether a
// condition ends it that only depends on numbers that are known.
const fewTrips, nearEnd = 16, 256

// readLoop reads the body once for every iteration if there are few or the body needs to know them apart, else as a Loop.
func readLoop(c *ir.Import) error {
	body := c.Attrs["body"].Body
	if body == nil {
		return fmt.Errorf("it has no body")
	}
	start := markOf(c.Graph)
	n, known := int64(0), false
	if trips := c.Value(0); trips != nil {
		n, known = constantOf(trips)
	}
	if known && n > fewTrips && n <= maxUnrolled {
		if keepLoop(c, body) == nil {
			return nil
		}
		start.restore(c.Graph)
		return unrollLoop(c, body, maxUnrolled)
	}
	var unknown *ir.Unsupported
	if err := unrollLoop(c, body, nearEnd); !errors.As(err, &unknown) {
		return err
	}
	start.restore(c.Graph)
	kept := keepLoop(c, body)
	if !errors.As(kept, &unknown) || unknown.Unknown != nil {
		return kept
	}
	start.restore(c.Graph)
	return unrollLoop(c, body, maxUnrolled)
}

// keepLoop reads a Loop as one. Where its condition does not surely hold until its iterations are done, it is looked at in each.
func keepLoop(c *ir.Import, body func([]*ir.Value) ([]*ir.Value, error)) error {
	var vars []*ir.Value
	if len(c.Inputs) > 2 {
		vars = c.Inputs[2:]
	}
	most, count := sym.Const(sym.MaxSymbol), c.Value(0)
	if count != nil && len(count.Contents()) == 1 {
		most, count = count.Contents()[0], nil
	}
	first := c.Value(1)
	if first == nil {
		first = ir.ConstValue("", boolTensor(true))
	}
	goes, known := constantOf(first)
	counted := count == nil && known && goes != 0 // only the condition may end it before its iterations are done
	b := &builder{c: c}
	if first = b.reshape(first, nil); count != nil {
		first = b.do(And, nil, first, b.do(Less, nil, ir.Scalar(loop.I64, 0), b.cast(b.reshape(count, nil), loop.I64)))
	}
	if b.err != nil {
		return b.err
	}
	l, err := newLooped(c, most, vars)
	if err != nil {
		return err
	}
	l.body, l.skip = body, 1
	number := &ir.Value{Elem: loop.I64}
	l.input = func(vars []*ir.Value) []*ir.Value {
		return append([]*ir.Value{l.integers(number, []sym.Dim{l.i}), ir.ConstValue("", boolTensor(true))}, vars...)
	}
	if err := l.look(); err != nil {
		return err
	}
	last, collected, err := l.run(first, func(out []*ir.Value) *ir.Value {
		if counted && goesOn(out[0], l.trips.Sub(l.i).Sub(sym.Const(1))) {
			return nil
		}
		if c.NumOut > len(vars) {
			unknown := c.Value(1)
			if count != nil {
				unknown = count
			}
			return l.fail(ir.UnknownContents(unknown, "a Loop that collects results and whose end depends on data"))
		}
		cond := l.reshape(out[0], nil)
		if count != nil {
			cond = l.do(And, nil, cond, l.do(Less, nil, l.integers(number, []sym.Dim{l.i.Add(sym.Const(1))}), l.cast(l.reshape(count, nil), loop.I64)))
		}
		return cond
	})
	if err != nil {
		return err
	}
	return c.Return(append(last, collected...), nil)
}

func unrollLoop(c *ir.Import, body func([]*ir.Value) ([]*ir.Value, error), limit int64) error {
	trips, cond := c.Value(0), c.Value(1)
	most := limit + 1
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
		if i >= limit {
			return ir.UnknownContents(cond, "a Loop of more than %d iterations, or whose end depends on data", limit)
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

// readScan reads the body once for every entry of the scanned axis if there are few, else as a Loop.
func readScan(c *ir.Import) error {
	body := c.Attrs["body"].Body
	m := int(c.Int("num_scan_inputs", 0))
	n := len(c.Inputs) - m
	if body == nil || m < 1 || n < 0 {
		return fmt.Errorf("%d of %d inputs are scanned", m, len(c.Inputs))
	}
	if c.Opset < 9 {
		return ir.NotSupported("Scan of opset %d", c.Opset)
	}
	scanned, steps, err := scanInputs(c, c.Inputs[n:])
	if err != nil {
		return err
	}
	start := markOf(c.Graph)
	count, known := steps.Const()
	if known && count <= fewTrips {
		return unrollScan(c, body, scanned, count)
	}
	var unknown *ir.Unsupported
	if err = keepScan(c, body, scanned, steps); known && count <= maxUnrolled && errors.As(err, &unknown) {
		start.restore(c.Graph)
		return unrollScan(c, body, scanned, count)
	}
	return err
}

// entry is entry k of a scanned input.
func (b *builder) entry(s scanned, k, steps sym.Dim) *ir.Value {
	if s.reverse {
		k = steps.Sub(sym.Const(1)).Sub(k)
	}
	part := b.slice(s.v, s.axis, k, sym.Const(1))
	return b.reshape(part, dims(s.v.Shape[:s.axis], s.v.Shape[s.axis+1:]))
}

func unrollScan(c *ir.Import, body func([]*ir.Value) ([]*ir.Value, error), scanned []scanned, steps int64) error {
	n := len(c.Inputs) - len(scanned)
	l := &loopState{builder: &builder{c: c}, vars: append([]*ir.Value{}, c.Inputs[:n]...)}
	for i := range steps {
		in := append([]*ir.Value{}, l.vars...)
		for _, s := range scanned {
			in = append(in, l.entry(s, sym.Const(i), sym.Const(steps)))
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
	return l.finish(c.NumOut, func(k, rank int) (int, bool, error) { return scanOutput(c, k, rank) })
}

// scanOutput is along which axis result k of the body is collected, and whether from the end on.
func scanOutput(c *ir.Import, k, rank int) (axis int, reverse bool, err error) {
	axes, _ := c.Ints("scan_output_axes")
	directions, _ := c.Ints("scan_output_directions")
	at := int64(0)
	if k < len(axes) {
		at = axes[k]
	}
	axis, err = axisOf(at, rank)
	return axis, k < len(directions) && directions[k] != 0, err
}

func keepScan(c *ir.Import, body func([]*ir.Value) ([]*ir.Value, error), scanned []scanned, steps sym.Dim) error {
	n := len(c.Inputs) - len(scanned)
	l, err := newLooped(c, steps, c.Inputs[:n])
	if err != nil {
		return err
	}
	l.body = body
	l.input = func(vars []*ir.Value) []*ir.Value {
		in := slices.Clone(vars)
		for _, s := range scanned {
			in = append(in, l.entry(s, l.i, steps))
		}
		return in
	}
	if err := l.look(); err != nil {
		return err
	}
	last, collected, err := l.run(nil, func([]*ir.Value) *ir.Value { return nil })
	if err != nil {
		return err
	}
	for k, v := range collected {
		rank := len(v.Shape)
		axis, reverse, err := scanOutput(c, k, rank)
		if err != nil {
			return err
		}
		if reverse {
			v = l.do(Slice, alongAxis(v.Shape, 0, steps.Sub(sym.Const(1)), steps, -1), v)
		}
		perm := make([]int64, 0, rank)
		for a := 1; a < rank; a++ {
			perm = append(perm, int64(a))
		}
		last = append(last, l.transpose(v, slices.Insert(perm, axis, 0)...))
	}
	return l.done(last...)
}

type scanned struct {
	v       *ir.Value
	axis    int
	reverse bool
}

// scanInputs gives the scanned inputs with their axes, and the number of entries.
func scanInputs(c *ir.Import, in []*ir.Value) ([]scanned, sym.Dim, error) {
	axes, _ := c.Ints("scan_input_axes")
	directions, _ := c.Ints("scan_input_directions")
	var list []scanned
	var steps sym.Dim
	for i, v := range in {
		axis := int64(0)
		if i < len(axes) {
			axis = axes[i]
		}
		if v == nil {
			return nil, steps, fmt.Errorf("scanned input %d is missing", i)
		}
		a, err := axisOf(axis, len(v.Shape))
		if err != nil {
			return nil, steps, err
		}
		if i == 0 {
			steps = v.Shape[a]
		}
		if err := ir.Equal(steps, v.Shape[a]); err != nil {
			return nil, steps, err
		}
		if steps.Is(0) {
			return nil, steps, ir.NotSupported("a Scan over nothing")
		}
		list = append(list, scanned{v, a, i < len(directions) && directions[i] != 0})
	}
	return list, steps, nil
}
