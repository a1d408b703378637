package rt

import "unsafe"

// TopK writes the k greatest elements of each row of f32, f64, i32, i64 or u64 in order or, with least, the k least, and their indices as i64;
// of equal elements the first comes first. Rows are k elements or longer.
func (s *Session) TopK(from, values, index Ptr, rows, width, k int, e Elem, least bool) {
	s.enter()
	if k > width && rows > 0 {
		s.fail("the greatest %d of %d elements", k, width)
		return
	}
	switch e {
	case F32:
		topkOf[float32](from, values, index, rows, width, k, least)
	case F64:
		topkOf[float64](from, values, index, rows, width, k, least)
	case I32:
		topkOf[int32](from, values, index, rows, width, k, least)
	case U64:
		topkOf[uint64](from, values, index, rows, width, k, least)
	default:
		topkOf[int64](from, values, index, rows, width, k, least)
	}
	s.leave(0)
}

type ordered interface {
	float32 | float64 | int32 | int64 | uint64
}

func topkOf[T ordered](from, values, index Ptr, rows, width, k int, least bool) {
	topk(unsafe.Slice((*T)(from), rows*width), unsafe.Slice((*T)(values), rows*k), unsafe.Slice((*int64)(index), rows*k), width, k, least)
}

// topk keeps the best so far in order in the output: an element moves up past those that it beats.
func topk[T ordered](x, values []T, index []int64, width, k int, least bool) {
	if k == 0 {
		return
	}
	for r := 0; r*width < len(x); r++ {
		v, at, n := values[r*k:r*k+k], index[r*k:r*k+k], 0
		for i, e := range x[r*width : r*width+width] {
			j := n
			if n == k {
				if !beats(e, v[k-1], least) {
					continue
				}
				j = k - 1
			} else {
				n++
			}
			for ; j > 0 && beats(e, v[j-1], least); j-- {
				v[j], at[j] = v[j-1], at[j-1]
			}
			v[j], at[j] = e, int64(i)
		}
	}
}

func beats[T ordered](a, b T, least bool) bool {
	if least {
		return a < b
	}
	return a > b
}
