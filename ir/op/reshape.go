package op

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/sym"
)

// ReshapeAttr holds the result's shape.
type ReshapeAttr struct{ To ir.DimList }

// Reshape gives the same elements, in the same order, another shape.
var Reshape = ir.NewOp("reshape", "same elements, another shape", ReshapeAttr{})

func init() {
	Reshape.Infer = func(n *ir.Node) error {
		v, out := n.In[0], n.Out[0]
		out.Elem, out.Shape, out.Dims = v.Elem, n.Attr.(ReshapeAttr).To.List(), v.Contents()
		return ir.Equal(sym.Product(v.Shape), sym.Product(out.Shape))
	}
	Reshape.Eval = func(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
		shape, err := n.OutShape(0, b)
		if err != nil {
			return nil, err
		}
		return []*ir.Tensor{{Elem: in[0].Elem, Shape: shape, Data: in[0].Data}}, nil
	}
	ir.FromONNX("", "Reshape", 5, readReshape)
	ir.FromONNX("", "Flatten", 1, readFlatten)
	ir.FromONNX("", "Squeeze", 1, readSqueeze)
	ir.FromONNX("", "Unsqueeze", 1, readUnsqueeze)
}

// reshape adds a Reshape, or nothing if v has the shape already.
func reshape(c *ir.Import, v *ir.Value, to []sym.Dim) (*ir.Value, error) {
	if ir.SameShape(v.Shape, to) {
		return v, nil
	}
	return c.Emit1(Reshape, ReshapeAttr{ir.MakeDims(to)}, v)
}

func readReshape(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	to, ok, err := c.Dims(1, "shape")
	if err != nil || !ok {
		return errors.Join(err, missing(ok, "shape"))
	}
	shape, err := resolveShape(v.Shape, to, c.Int("allowzero", 0) != 0)
	if err != nil {
		return err
	}
	if v, err = asMany(c, v, sym.Product(shape)); err != nil {
		return err
	}
	return c.Return1(reshape(c, v, shape))
}

// asMany is v, flat and cut to n elements where it is not known whether it has as many; see agree.
func asMany(c *ir.Import, v *ir.Value, n sym.Dim) (*ir.Value, error) {
	total := sym.Product(v.Shape)
	if !undecided(total, n) {
		return v, nil
	}
	flat, err := reshape(c, v, []sym.Dim{total})
	if err != nil {
		return nil, err
	}
	return agree(c, flat, []sym.Dim{n}, -1)
}

func missing(ok bool, what string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s is missing", what)
}

// resolveShape replaces 0 (the axis of the input) and -1 (what is left) in a target shape.
func resolveShape(from, to []sym.Dim, allowZero bool) ([]sym.Dim, error) {
	out := append([]sym.Dim{}, to...)
	rest, infer := sym.Const(1), -1
	for i, d := range to {
		switch {
		case d.Is(-1) && infer >= 0:
			return nil, fmt.Errorf("two axes of the target shape %v are -1", to)
		case d.Is(-1):
			infer = i
			continue
		case d.Is(0) && !allowZero:
			if i >= len(from) {
				return nil, fmt.Errorf("axis %d of the target shape %v is 0, but the input has rank %d", i, to, len(from))
			}
			out[i] = from[i]
		}
		if _, hi := out[i].Bounds(); hi < 0 {
			return nil, fmt.Errorf("axis %d of the target shape is %v", i, out[i])
		}
		rest = rest.Mul(out[i])
	}
	if infer < 0 {
		return out, nil
	}
	if rest.Is(0) {
		return nil, fmt.Errorf("the -1 of the target shape %v is not determined", to)
	}
	total := sym.Product(from)
	q, ok := total.Div(rest)
	if !ok {
		if err := leadingFact(from, out[:infer]); err != nil {
			return nil, err
		}
		q = total.FloorDiv(rest)
	}
	out[infer] = q
	return out, nil
}

// leadingFact is the fact that the first axis of a target shape is the first of the input's, where otherwise it is not known whether it
// divides the input: inputs of one batch whose axes have names of their own. Where rows are flattened, [batch*rows, …], it is the batch.
func leadingFact(from, to []sym.Dim) error {
	if len(from) < 2 || len(to) == 0 {
		return nil
	}
	first := from[0]
	if flat := first.Symbols(); len(flat) > 1 && first == symbolProduct(flat) {
		slices.SortFunc(flat, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		first = sym.Sym(flat[0])
	}
	var fact *ir.Unify
	if errors.As(ir.Equal(first, to[0]), &fact) {
		return fact
	}
	return nil
}

// symbolProduct is the product of some symbols.
func symbolProduct(symbols []string) sym.Dim {
	d := sym.Const(1)
	for _, s := range symbols {
		d = d.Mul(sym.Sym(s))
	}
	return d
}

func readFlatten(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axis := c.Int("axis", 1)
	if axis < 0 {
		axis += int64(len(v.Shape))
	}
	if axis < 0 || axis > int64(len(v.Shape)) {
		return fmt.Errorf("axis %d is outside the rank %d", axis, len(v.Shape))
	}
	return c.Return1(reshape(c, v, []sym.Dim{sym.Product(v.Shape[:axis]), sym.Product(v.Shape[axis:])}))
}

func readSqueeze(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, ok, err := c.ConstInts(1, "axes")
	if err != nil {
		return err
	}
	drop := make([]bool, len(v.Shape))
	for i, d := range v.Shape {
		drop[i] = !ok && d.Is(1)
	}
	for _, a := range axes {
		k, err := axisOf(a, len(v.Shape))
		if err != nil {
			return err
		}
		if err := ir.Equal(v.Shape[k], sym.Const(1)); err != nil {
			return fmt.Errorf("axis %d: %w", k, err)
		}
		drop[k] = true
	}
	var to []sym.Dim
	for i, d := range v.Shape {
		if !drop[i] {
			to = append(to, d)
		}
	}
	return c.Return1(reshape(c, v, to))
}

func readUnsqueeze(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	axes, ok, err := c.ConstInts(1, "axes")
	if err != nil || !ok {
		return errors.Join(err, missing(ok, "axes"))
	}
	rank := len(v.Shape) + len(axes)
	to := make([]sym.Dim, rank)
	for _, a := range axes {
		k, err := axisOf(a, rank)
		if err != nil {
			return err
		}
		if to[k].Is(1) {
			return fmt.Errorf("axis %d is named twice", k)
		}
		to[k] = sym.Const(1)
	}
	rest := v.Shape
	for i := range to {
		if to[i].Is(0) {
			to[i], rest = rest[0], rest[1:]
		}
	}
	return c.Return1(reshape(c, v, to))
}
