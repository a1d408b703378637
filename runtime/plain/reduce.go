package plain

// Kinds of reductions.
const (
	Sum = iota
	Mean
	Greatest
	Least
	Product
	SumSquares
)

// Reduce combines the elements of the last axis of In[0] in increasing order; Ints[0] is the kind. It is for the element types that no
// kernel reduces.
func Reduce(a *Args) (int, error) {
	switch a.In[0].Elem {
	case F64:
		reduceRows[float64](a)
	case I8:
		reduceRows[int8](a)
	case U8, BOOL:
		reduceRows[uint8](a)
	case I16:
		reduceRows[int16](a)
	case U16:
		reduceRows[uint16](a)
	case I32:
		reduceRows[int32](a)
	case U32:
		reduceRows[uint32](a)
	case I64:
		reduceRows[int64](a)
	case U64:
		reduceRows[uint64](a)
	}
	return 0, nil
}

func reduceRows[T Number](a *Args) {
	in, y := data[T](&a.In[0]), data[T](&a.Out[0])
	n := a.In[0].Dims[a.In[0].Rank-1]
	for r := range y {
		row := in[r*n : (r+1)*n]
		var v T
		switch a.Ints[0] {
		case Product:
			v = 1
		case Greatest, Least:
			if n > 0 {
				v = row[0]
			}
		}
		for _, x := range row {
			switch a.Ints[0] {
			case Greatest:
				v = max(v, x)
			case Least:
				v = min(v, x)
			case Product:
				v *= x
			case SumSquares:
				v += T(x * x)
			default:
				v += x
			}
		}
		if a.Ints[0] == Mean {
			v /= T(n)
		}
		y[r] = v
	}
}

// MatMul is the product of the last two axes, whose batch axes agree, for the element types that no kernel multiplies.
func MatMul(a *Args) (int, error) {
	switch a.In[0].Elem {
	case F64:
		matmul[float64](a)
	case I32:
		matmul[int32](a)
	case U32:
		matmul[uint32](a)
	case I64:
		matmul[int64](a)
	case U64:
		matmul[uint64](a)
	}
	return 0, nil
}

func matmul[T Number](a *Args) {
	x, y, z := data[T](&a.In[0]), data[T](&a.In[1]), data[T](&a.Out[0])
	r := a.Out[0].Rank
	m, n, k := a.Out[0].Dims[r-2], a.Out[0].Dims[r-1], a.In[0].Dims[r-1]
	for b := range product(a.Out[0].Dims[:r-2]) {
		for i := range m {
			row := z[(b*m+i)*n : (b*m+i+1)*n]
			clear(row)
			for l := range k {
				v := x[(b*m+i)*k+l]
				for j := range row {
					row[j] += T(v * y[(b*k+l)*n+j])
				}
			}
		}
	}
}
