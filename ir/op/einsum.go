package op

import (
	"fmt"
	"slices"
	"strings"

	"mmc/ir"
	"mmc/ir/sym"
)

// Einsum is read as diagonals, sums, transpositions and products of two operands, from the left: an index of both operands that is
// wanted later is a batch axis, one of both operands alone is summed by the product, one of an operand alone that is not wanted is summed
// before. The axes of an ellipsis get letters of their own.
func init() {
	ir.FromONNX("", "Einsum", 12, readEinsum)
}

// labelled is a value whose axes have an einsum's letters.
type labelled struct {
	v      *ir.Value
	labels string
}

func readEinsum(c *ir.Import) error {
	operands, out, err := einsumOperands(c)
	if err != nil {
		return err
	}
	sizes := indexSizes(operands)
	for i := range operands {
		if operands[i], err = diagonals(c, operands[i]); err != nil {
			return err
		}
		if operands[i], err = squeezed(c, operands[i], sizes); err != nil {
			return err
		}
	}
	x, rest := operands[0], operands[1:]
	for i := 0; ; i++ {
		wanted := out
		for _, o := range rest[i:] {
			wanted += o.labels
		}
		if x, err = sumUnused(c, x, wanted); err != nil || i == len(rest) {
			break
		}
		later := out
		for _, o := range rest[i+1:] {
			later += o.labels
		}
		y, err := sumUnused(c, rest[i], x.labels+later)
		if err != nil {
			return err
		}
		if x, err = einsumProduct(c, x, y, later); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return c.Return1(wholeResult(c, x, out, sizes))
}

// ellipsisLetters stand for the axes of an ellipsis, the last one first; an equation's own letters are ASCII.
const ellipsisLetters = "\x01\x02\x03\x04\x05\x06\x07\x08"

// einsumOperands splits the equation; without an arrow the result has the ellipsis and then the letters that occur once, in order.
func einsumOperands(c *ir.Import) (list []labelled, out string, err error) {
	eq := strings.ReplaceAll(c.Str("equation", ""), " ", "")
	left, out, arrow := strings.Cut(eq, "->")
	ins := strings.Split(left, ",")
	if len(ins) != len(c.Inputs) {
		return nil, "", fmt.Errorf("equation %.60q for %d operands", eq, len(c.Inputs))
	}
	dots := ""
	for i, labels := range ins {
		v, err := c.Need(i)
		if err != nil {
			return nil, "", err
		}
		own := len(v.Shape) - len(strings.Replace(labels, "...", "", 1))
		if own < 0 || own > len(ellipsisLetters) || own > 0 && !strings.Contains(labels, "...") {
			return nil, "", fmt.Errorf("%q names the axes of an input of rank %d", labels, len(v.Shape))
		}
		letters := []byte(ellipsisLetters[:own])
		slices.Reverse(letters)
		if len(letters) > len(dots) {
			dots = string(letters)
		}
		list = append(list, labelled{v, strings.Replace(labels, "...", string(letters), 1)})
	}
	all := ""
	for _, o := range list {
		all += o.labels
	}
	if out = strings.Replace(out, "...", dots, 1); !arrow {
		out = dots + lettersOnce(strings.TrimLeft(all, ellipsisLetters))
	}
	for i, r := range all + out {
		if !strings.ContainsRune(ellipsisLetters, r) && (r < 'A' || r > 'z' || r > 'Z' && r < 'a') {
			return nil, "", fmt.Errorf("equation %.60q", eq)
		}
		if k := i - len(all); k >= 0 && (!strings.ContainsRune(all, r) || strings.ContainsRune(out[:k], r)) {
			return nil, "", fmt.Errorf("equation %.60q: the result has an index twice, or one that no operand has", eq)
		}
	}
	return list, out, nil
}

// lettersOnce are the letters that occur once, in order.
func lettersOnce(all string) (out string) {
	letters := []byte(all)
	slices.Sort(letters)
	for _, l := range letters {
		if l >= 'A' && strings.Count(all, string(l)) == 1 {
			out += string(l)
		}
	}
	return out
}

// indexSizes are the sizes of the indices; where axes of size 1 go together with others, those of the others.
func indexSizes(operands []labelled) map[byte]sym.Dim {
	sizes := map[byte]sym.Dim{}
	for _, o := range operands {
		for i := range o.labels {
			if d, ok := sizes[o.labels[i]]; !ok || d.Is(1) {
				sizes[o.labels[i]] = o.v.Shape[i]
			}
		}
	}
	return sizes
}

// diagonals takes, where an operand has an index twice, the elements at which both are equal.
func diagonals(c *ir.Import, x labelled) (labelled, error) {
	for i := 0; i < len(x.labels); i++ {
		l := x.labels[i]
		k := strings.LastIndexByte(x.labels, l)
		if k == i {
			continue
		}
		n, known := x.v.Shape[i].Const()
		if !known || n < 1 {
			return x, ir.NotSupported("Einsum with an index twice in one operand, of size %v", x.v.Shape[i])
		}
		if err := ir.Equal(x.v.Shape[i], x.v.Shape[k]); err != nil {
			return x, fmt.Errorf("index %c: %w", l, err)
		}
		rest := x.labels[:i] + x.labels[i+1:k] + x.labels[k+1:]
		var perm []int64
		for a := range x.labels {
			if a != i && a != k {
				perm = append(perm, int64(a))
			}
		}
		b := &builder{c: c}
		v := b.transpose(x.v, append(perm, int64(i), int64(k))...)
		if b.err != nil {
			return x, b.err
		}
		v = b.part(b.reshape(v, dims(v.Shape[:len(rest)], n*n)), 0, n, n+1)
		if b.err != nil {
			return x, b.err
		}
		x, i = labelled{v, rest + string(l)}, -1
	}
	return x, nil
}

// squeezed leaves out axes of size 1 whose index is larger elsewhere: the operand is the same along it.
func squeezed(c *ir.Import, x labelled, sizes map[byte]sym.Dim) (labelled, error) {
	var shape []sym.Dim
	labels := ""
	for i, d := range x.v.Shape {
		if d.Is(1) && !sizes[x.labels[i]].Is(1) {
			continue
		}
		shape, labels = append(shape, d), labels+x.labels[i:i+1]
	}
	if len(labels) == len(x.labels) {
		return x, nil
	}
	v, err := reshape(c, x.v, shape)
	return labelled{v, labels}, err
}

// wholeResult puts the axes in the order of out; those of the indices that no operand is left with are repeated.
func wholeResult(c *ir.Import, x labelled, out string, sizes map[byte]sym.Dim) (*ir.Value, error) {
	v, err := reorder(c, x, both(out, x.labels))
	if err != nil || len(x.labels) == len(out) {
		return v, err
	}
	thin, full := []sym.Dim{}, []sym.Dim{}
	for i := range out {
		d := sizes[out[i]]
		full = append(full, d)
		if strings.IndexByte(x.labels, out[i]) < 0 {
			d = sym.Const(1)
		}
		thin = append(thin, d)
	}
	b := &builder{c: c}
	v = b.expand(b.reshape(v, thin), full)
	return v, b.err
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
