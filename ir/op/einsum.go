package op

import (
	"fmt"
	"slices"
	"strings"

	"mmc/ir"
	"mmc/ir/sym"
)

// Einsum of one or two operands is read as sums, transpositions and a product: an index of both operands and the result is a batch
// axis, one of both operands alone is summed by the product, one of an operand alone and not of the result is summed before.
func init() {
	ir.FromONNX("", "Einsum", 12, readEinsum)
}

// labelled is a value whose axes have an einsum's letters.
type labelled struct {
	v      *ir.Value
	labels string
}

func readEinsum(c *ir.Import) error {
	ins, out, err := einsumLabels(c)
	if err != nil {
		return err
	}
	operands := make([]labelled, len(ins))
	for i, labels := range ins {
		v, err := c.Need(i)
		if err != nil {
			return err
		}
		if len(labels) != len(v.Shape) {
			return fmt.Errorf("%q names %d axes of an input of rank %d", labels, len(labels), len(v.Shape))
		}
		if operands[i], err = sumUnused(c, labelled{v, labels}, out+strings.Join(slices.Delete(slices.Clone(ins), i, i+1), "")); err != nil {
			return err
		}
	}
	x := operands[0]
	if len(operands) == 2 {
		if x, err = einsumProduct(c, x, operands[1], out); err != nil {
			return err
		}
	}
	return c.Return1(reorder(c, x, out))
}

// einsumLabels splits the equation; without an arrow the result has the letters that occur once, in order.
func einsumLabels(c *ir.Import) (ins []string, out string, err error) {
	eq := strings.ReplaceAll(c.Str("equation", ""), " ", "")
	left, out, arrow := strings.Cut(eq, "->")
	ins = strings.Split(left, ",")
	if len(ins) != len(c.Inputs) || len(ins) > 2 || strings.Contains(eq, ".") {
		return nil, "", ir.NotSupported("Einsum of %d operands as %.60q", len(c.Inputs), eq)
	}
	for _, s := range append(slices.Clone(ins), out) {
		for i, r := range s {
			if r < 'A' || r > 'z' || r > 'Z' && r < 'a' {
				return nil, "", fmt.Errorf("equation %.60q", eq)
			}
			if strings.ContainsRune(s[:i], r) {
				return nil, "", ir.NotSupported("Einsum with an index twice in one operand: %.60q", eq)
			}
		}
	}
	if !arrow {
		letters := strings.Split(strings.Join(ins, ""), "")
		slices.Sort(letters)
		for _, l := range letters {
			if strings.Count(left, l) == 1 {
				out += l
			}
		}
	}
	for _, r := range out {
		if !strings.ContainsRune(left, r) {
			return nil, "", fmt.Errorf("equation %.60q: the result has an index that no operand has", eq)
		}
	}
	return ins, out, nil
}

// sumUnused sums over the axes whose letters are not in keep.
func sumUnused(c *ir.Import, x labelled, keep string) (labelled, error) {
	var axes []int64
	labels := ""
	for i, r := range x.labels {
		if strings.ContainsRune(keep, r) {
			labels += string(r)
		} else {
			axes = append(axes, int64(i))
		}
	}
	if len(axes) == 0 {
		return x, nil
	}
	v, err := reduceAxes(c, x.v, axes, "sum", false)
	return labelled{v, labels}, err
}

// reorder transposes to an order of letters.
func reorder(c *ir.Import, x labelled, labels string) (*ir.Value, error) {
	perm := make([]int64, len(labels))
	for i := range labels {
		perm[i] = int64(strings.IndexByte(x.labels, labels[i]))
	}
	return transpose(c, x.v, perm...)
}

// both are the letters of x that y has too.
func both(x, y string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(y, r) {
			return r
		}
		return -1
	}, x)
}

func without(x, y string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(y, r) {
			return -1
		}
		return r
	}, x)
}

func einsumProduct(c *ir.Import, x, y labelled, out string) (labelled, error) {
	shared := both(x.labels, y.labels)
	batch, sum := both(shared, out), without(shared, out)
	rows, cols := without(x.labels, shared), without(y.labels, shared)
	sizes := map[byte]sym.Dim{}
	for _, o := range []labelled{x, y} {
		for i := range o.labels {
			if d, ok := sizes[o.labels[i]]; ok {
				if err := ir.Equal(d, o.v.Shape[i]); err != nil {
					return x, fmt.Errorf("index %c: %w", o.labels[i], err)
				}
			}
			sizes[o.labels[i]] = o.v.Shape[i]
		}
	}
	dims := func(labels string) (ds []sym.Dim) {
		for i := range labels {
			ds = append(ds, sizes[labels[i]])
		}
		return ds
	}
	matrix := func(o labelled, r, k string) (*ir.Value, error) {
		v, err := reorder(c, o, batch+r+k)
		if err != nil {
			return nil, err
		}
		return reshape(c, v, append(dims(batch), sym.Product(dims(r)), sym.Product(dims(k))))
	}
	a, err := matrix(x, rows, sum)
	if err != nil {
		return x, err
	}
	b, err := matrix(y, sum, cols)
	if err != nil {
		return x, err
	}
	p, err := product(c, a, b)
	if err != nil {
		return x, err
	}
	v, err := reshape(c, p, dims(batch+rows+cols))
	return labelled{v, batch + rows + cols}, err
}
