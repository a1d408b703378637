package plain

import (
	"math"
	"sort"
)

// NonMaxSuppression writes rows (batch, class, box) of the boxes that are kept: of each batch entry and class those of the highest
// scores that overlap none kept before by more than a threshold. In: boxes [batch, boxes, 4], scores [batch, classes, boxes], then,
// each absent or of one element, the most boxes a class, the overlap and the least score. Ints[0] says that boxes are centre and size
// (ONNX NonMaxSuppression, opset 11).
func NonMaxSuppression(a *Args) (int, error) {
	boxes, scores, out := data[float32](&a.In[0]), data[float32](&a.In[1]), data[int64](&a.Out[0])
	batch, classes, n := a.In[1].Dims[0], a.In[1].Dims[1], a.In[1].Dims[2]
	most, overlap, least := 0, float32(0), float32(math.Inf(-1))
	if a.In[2].P != nil {
		most = integer(&a.In[2], 0)
	}
	if a.In[3].P != nil {
		overlap = data[float32](&a.In[3])[0]
	}
	if a.In[4].P != nil {
		least = data[float32](&a.In[4])[0]
	}
	count := 0
	order := make([]int, 0, n)
	kept := make([][4]float32, 0, n)
	for b := range batch {
		for c := range classes {
			s := scores[(b*classes+c)*n:][:n]
			order, kept = order[:0], kept[:0]
			for i, v := range s {
				if v > least {
					order = append(order, i)
				}
			}
			sort.SliceStable(order, func(i, j int) bool { return s[order[i]] > s[order[j]] })
			for _, i := range order {
				if len(kept) >= most {
					break
				}
				box := corners(boxes[(b*n+i)*4:], a.Ints[0] != 0)
				if overlaps(box, kept, overlap) {
					continue
				}
				kept = append(kept, box)
				out[count*3], out[count*3+1], out[count*3+2] = int64(b), int64(c), int64(i)
				count++
			}
		}
	}
	return count, nil
}

// corners are the lower corner and the upper one.
func corners(b []float32, centre bool) [4]float32 {
	if centre {
		return [4]float32{b[0] - b[2]/2, b[1] - b[3]/2, b[0] + b[2]/2, b[1] + b[3]/2}
	}
	return [4]float32{min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])}
}

func overlaps(a [4]float32, kept [][4]float32, threshold float32) bool {
	area := func(b [4]float32) float32 { return (b[2] - b[0]) * (b[3] - b[1]) }
	for _, b := range kept {
		w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
		if w <= 0 || h <= 0 || area(a) <= 0 || area(b) <= 0 {
			continue
		}
		both := w * h
		if both/(area(a)+area(b)-both) > threshold {
			return true
		}
	}
	return false
}

// NonZero writes the indices of the elements of In[0] that are not zero, a column each: Out[0] is [rank, count]. The rows stand as far
// apart as there are indices.
func NonZero(a *Args) (int, error) {
	in, out := &a.In[0], data[int64](&a.Out[0])
	size, bytes := in.Elem.Size(), raw(in)
	count := 0
	for i := range in.Len() {
		if !isZero(bytes[i*size:(i+1)*size], in.Elem) {
			count++
		}
	}
	var at [8]int
	pos, k := at[:in.Rank], 0
	for i := range in.Len() {
		if !isZero(bytes[i*size:(i+1)*size], in.Elem) {
			for d, p := range pos {
				out[d*count+k] = int64(p)
			}
			k++
		}
		next(pos, in.Shape())
	}
	return count, nil
}

// isZero reports whether an element is zero; -0 is.
func isZero(b []byte, e Elem) bool {
	for i, x := range b {
		if i == len(b)-1 && e <= BF16 {
			x &= 0x7f
		}
		if x != 0 {
			return false
		}
	}
	return true
}

// Compress writes the slices of In[0] [outer, axis, inner] whose entry of the condition In[1] is true; the slices of one outer entry
// stand together. Ints[0] is the axis.
func Compress(a *Args) (int, error) {
	in, cond, out := &a.In[0], data[uint8](&a.In[1]), raw(&a.Out[0])
	axis := a.Ints[0]
	outer, size := product(in.Dims[:axis]), in.Dims[axis]
	row := product(in.Dims[axis+1:in.Rank]) * in.Elem.Size()
	count := 0
	for i := range min(len(cond), size) {
		if cond[i] != 0 {
			count++
		}
	}
	at := 0
	for o := range outer {
		for i := range min(len(cond), size) {
			if cond[i] != 0 {
				at += copy(out[at:at+row], raw(in)[(o*size+i)*row:])
			}
		}
	}
	return count, nil
}
