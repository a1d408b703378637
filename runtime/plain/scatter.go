package plain

import "fmt"

// Reductions of a scatter, as numbers.
const (
	Replace = iota
	Add
	Mul
	Max
	Min
)

// ScatterElements copies In[0] and then combines update In[2][i, j, k] into place [i, index, k] along axis Ints[0], where In[1] holds
// the indices in the updates' shape; Ints[1] is the reduction.
func ScatterElements(a *Args) (int, error) {
	base, idx, upd, out := &a.In[0], &a.In[1], &a.In[2], &a.Out[0]
	copy(raw(out), raw(base))
	axis := a.Ints[0]
	var at [8]int
	pos := at[:idx.Rank]
	for i := range idx.Len() {
		k, err := index(idx, i, out.Dims[axis])
		if err != nil {
			return 0, err
		}
		o := 0
		for d, p := range pos {
			if d == axis {
				p = k
			}
			o = o*out.Dims[d] + p
		}
		combine(out, upd, o, i, 1, a.Ints[1])
		next(pos, idx.Shape())
	}
	return 0, nil
}

// ScatterND copies In[0] and then combines slices of the updates In[2] into the places that the last axis of the indices In[1] names;
// Ints[0] is the reduction.
func ScatterND(a *Args) (int, error) {
	base, idx, upd, out := &a.In[0], &a.In[1], &a.In[2], &a.Out[0]
	copy(raw(out), raw(base))
	depth := idx.Dims[idx.Rank-1]
	inner := product(out.Dims[depth:out.Rank])
	for i := range product(idx.Dims[:idx.Rank-1]) {
		o := 0
		for d := range depth {
			k, err := index(idx, i*depth+d, out.Dims[d])
			if err != nil {
				return 0, err
			}
			o = o*out.Dims[d] + k
		}
		combine(out, upd, o*inner, i*inner, inner, a.Ints[0])
	}
	return 0, nil
}

// TensorScatter copies a cache In[0] and writes In[1] into it along axis Ints[0] from the place on that In[2] gives for each batch entry;
// with Ints[1] it wraps around (ONNX TensorScatter, opset 24).
func TensorScatter(a *Args) (int, error) {
	base, upd, start, out := &a.In[0], &a.In[1], &a.In[2], &a.Out[0]
	copy(raw(out), raw(base))
	axis, circular := a.Ints[0], a.Ints[1] != 0
	outer, inner := product(out.Dims[:axis]), product(out.Dims[axis+1:out.Rank])
	size, n := out.Dims[axis], upd.Dims[axis]
	for o := range outer {
		from := 0
		if start.P != nil {
			from = integer(start, o/(outer/out.Dims[0]))
		}
		for k := range n {
			p := from + k
			if circular {
				p %= size
			}
			if p < 0 || p >= size {
				return 0, fmt.Errorf("place %d is outside the cache of size %d", p, size)
			}
			combine(out, upd, (o*size+p)*inner, (o*n+k)*inner, inner, Replace)
		}
	}
	return 0, nil
}

// combine reduces n elements of from at i into those of to at o.
func combine(to, from *Tensor, o, i, n, how int) {
	if how == Replace {
		s := to.Elem.Size()
		copy(raw(to)[o*s:(o+n)*s], raw(from)[i*s:])
		return
	}
	switch to.Elem {
	case F32:
		reduce(data[float32](to)[o:o+n], data[float32](from)[i:], how)
	case F64:
		reduce(data[float64](to)[o:o+n], data[float64](from)[i:], how)
	case I8:
		reduce(data[int8](to)[o:o+n], data[int8](from)[i:], how)
	case U8, BOOL:
		reduce(data[uint8](to)[o:o+n], data[uint8](from)[i:], how)
	case I16:
		reduce(data[int16](to)[o:o+n], data[int16](from)[i:], how)
	case U16:
		reduce(data[uint16](to)[o:o+n], data[uint16](from)[i:], how)
	case I32:
		reduce(data[int32](to)[o:o+n], data[int32](from)[i:], how)
	case U32:
		reduce(data[uint32](to)[o:o+n], data[uint32](from)[i:], how)
	case I64:
		reduce(data[int64](to)[o:o+n], data[int64](from)[i:], how)
	case U64:
		reduce(data[uint64](to)[o:o+n], data[uint64](from)[i:], how)
	}
}

func reduce[T Number](to, from []T, how int) {
	for k := range to {
		switch how {
		case Add:
			to[k] += from[k]
		case Mul:
			to[k] *= from[k]
		case Max:
			to[k] = max(to[k], from[k])
		case Min:
			to[k] = min(to[k], from[k])
		}
	}
}
