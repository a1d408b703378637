package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Sequences are lists of values while a model is read: how long they are must be known then, and nothing of them is left in the program.
func init() {
	ir.FromONNX("", "SequenceEmpty", 11, func(c *ir.Import) error { return c.Return1(list(), nil) })
	ir.FromONNX("", "SequenceConstruct", 11, func(c *ir.Import) error {
		in, err := c.NeedAll(len(c.Inputs))
		return c.Return1(list(in...), err)
	})
	ir.FromONNX("", "SequenceInsert", 11, readSequenceInsert)
	ir.FromONNX("", "SequenceErase", 11, readSequenceErase)
	ir.FromONNX("", "SequenceAt", 11, readSequenceAt)
	ir.FromONNX("", "SequenceLength", 11, func(c *ir.Import) error {
		s, err := sequence(c, 0)
		if err != nil {
			return err
		}
		return c.Return1(scalarInt(int64(len(s.List))), nil)
	})
	ir.FromONNX("", "SequenceMap", 17, readSequenceMap)
	ir.FromONNX("", "SplitToSequence", 11, readSplitToSequence)
	ir.FromONNX("", "ConcatFromSequence", 11, readConcatFromSequence)
	ir.FromONNX("", "Optional", 15, func(c *ir.Import) error {
		if v := c.Value(0); v != nil {
			return c.Return1(v, nil)
		}
		return ir.NotSupported("an empty optional")
	})
	ir.FromONNX("", "OptionalGetElement", 15, func(c *ir.Import) error { return c.Return1(c.Need(0)) })
	ir.FromONNX("", "OptionalHasElement", 15, func(c *ir.Import) error {
		return c.Return1(ir.ConstValue("", boolTensor(c.Value(0) != nil)), nil)
	})
}

func scalarInt(n int64) *ir.Value {
	t := ir.NewTensor(loop.I64)
	t.Set(0, loop.Scalar{I: n})
	return ir.ConstValue("", t)
}

func list(vs ...*ir.Value) *ir.Value {
	return &ir.Value{Sequence: true, List: append([]*ir.Value{}, vs...)}
}

func sequence(c *ir.Import, i int) (*ir.Value, error) {
	v, err := c.Need(i)
	if err != nil {
		return nil, err
	}
	if !v.Sequence {
		return nil, fmt.Errorf("input %d is no sequence", i)
	}
	return v, nil
}

// position is input i as a place among n entries; def if it is absent.
func position(c *ir.Import, i, n, def int) (int, error) {
	v := c.Value(i)
	if v == nil {
		return def, nil
	}
	p, ok := constantOf(v)
	if !ok {
		return 0, ir.UnknownContents(v, "a place in a sequence that depends on data")
	}
	if p < 0 {
		p += int64(n)
	}
	if p < 0 || p > int64(n) {
		return 0, fmt.Errorf("place %d of %d entries", p, n)
	}
	return int(p), nil
}

func readSequenceInsert(c *ir.Import) error {
	s, err := sequence(c, 0)
	if err != nil {
		return err
	}
	v, err := c.Need(1)
	if err != nil {
		return err
	}
	p, err := position(c, 2, len(s.List), len(s.List))
	if err != nil {
		return err
	}
	out := list(s.List[:p]...)
	out.List = append(append(out.List, v), s.List[p:]...)
	return c.Return1(out, nil)
}

func readSequenceErase(c *ir.Import) error {
	s, err := sequence(c, 0)
	if err != nil {
		return err
	}
	p, err := position(c, 1, len(s.List), len(s.List)-1)
	if err != nil {
		return err
	}
	if p < 0 || p >= len(s.List) {
		return fmt.Errorf("place %d of %d entries", p, len(s.List))
	}
	out := list(s.List[:p]...)
	out.List = append(out.List, s.List[p+1:]...)
	return c.Return1(out, nil)
}

func readSequenceAt(c *ir.Import) error {
	s, err := sequence(c, 0)
	if err != nil {
		return err
	}
	p, err := position(c, 1, len(s.List), 0)
	if err != nil {
		return err
	}
	if p >= len(s.List) {
		return fmt.Errorf("place %d of %d entries", p, len(s.List))
	}
	return c.Return1(s.List[p], nil)
}

// readSequenceMap reads the body once for every entry; other inputs are taken whole, or by entry if they are sequences.
func readSequenceMap(c *ir.Import) error {
	s, err := sequence(c, 0)
	body := c.Attrs["body"].Body
	if err != nil || body == nil {
		return orElse(err, fmt.Errorf("it has no body"))
	}
	var outs []*ir.Value
	for i := range s.List {
		in := make([]*ir.Value, len(c.Inputs))
		for k, v := range c.Inputs {
			if v != nil && v.Sequence {
				if i >= len(v.List) {
					return fmt.Errorf("sequences of %d and %d entries", len(s.List), len(v.List))
				}
				v = v.List[i]
			}
			in[k] = v
		}
		vs, err := body(in)
		if err != nil {
			return err
		}
		for k, v := range vs {
			if k == len(outs) {
				outs = append(outs, list())
			}
			outs[k].List = append(outs[k].List, v)
		}
	}
	for len(outs) < c.NumOut {
		outs = append(outs, list())
	}
	return c.Return(outs, nil)
}

// readSplitToSequence cuts an axis into equal parts, the last one smaller, or into parts of given sizes.
func readSplitToSequence(c *ir.Import) error {
	b := &builder{c: c}
	v := b.need(0)
	if b.err != nil {
		return b.err
	}
	axis, err := axisOf(c.Int("axis", 0), len(v.Shape))
	if err != nil {
		return err
	}
	sizes, given, err := c.ConstInts(1, "")
	if split := c.Value(1); err != nil && split != nil && len(split.Shape) == 1 {
		return b.splitByData(v, split, axis)
	}
	if err != nil {
		return err
	}
	n, ok := v.Shape[axis].Const()
	if !ok {
		return ir.NotSupported("a sequence of %v entries", v.Shape[axis])
	}
	keep := c.Int("keepdims", 1) != 0 || given
	if split := c.Value(1); !given || split != nil && len(split.Shape) == 0 {
		each := int64(1)
		if given {
			each = sizes[0]
		}
		if sizes = nil; each < 1 {
			return fmt.Errorf("parts of %d", each)
		}
		if n/each > maxUnrolled {
			return ir.NotSupported("a sequence of %d entries", n/each)
		}
		for at := int64(0); at < n; at += each {
			sizes = append(sizes, min(each, n-at))
		}
	}
	out, at := list(), int64(0)
	for _, size := range sizes {
		part := b.slice(v, axis, sym.Const(at), sym.Const(size))
		if !keep {
			part = b.reshape(part, dims(v.Shape[:axis], v.Shape[axis+1:]))
		}
		out.List, at = append(out.List, part), at+size
	}
	if at != n {
		return fmt.Errorf("parts of %d in all for an axis of %d", at, n)
	}
	return b.done(out)
}

func readConcatFromSequence(c *ir.Import) error {
	s, err := sequence(c, 0)
	if err != nil || len(s.List) == 0 {
		return orElse(err, fmt.Errorf("the sequence is empty"))
	}
	b := &builder{c: c}
	parts := append([]*ir.Value{}, s.List...)
	rank := len(parts[0].Shape)
	fresh := c.Int("new_axis", 0) != 0
	if fresh {
		rank++
	}
	axis, err := axisOf(c.Int("axis", 0), rank)
	if err != nil {
		return err
	}
	for i, v := range parts {
		if v.Sequence || axis > len(v.Shape) {
			return fmt.Errorf("part %d has no axis %d", i, axis)
		}
		if fresh {
			parts[i] = b.reshape(v, dims(v.Shape[:axis], 1, v.Shape[axis:]))
		}
	}
	return b.done(b.concat(axis, parts...))
}
