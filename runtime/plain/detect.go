package plain

import (
	"math"
	"slices"
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
	order := make([]uint64, 0, n)
	kept := make([]corner, 0, n)
	for b := range batch {
		for c := range classes {
			order, kept = descending(order[:0], scores[(b*classes+c)*n:][:n], least), kept[:0]
			for _, o := range order {
				if len(kept) >= most {
					break
				}
				i := int(uint32(o))
				box := corners(boxes[(b*n+i)*4:], a.Ints[0] != 0)
				if box.overlaps(kept, overlap) {
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

// descending appends the numbers of the scores above the least one in the lower halves, the greatest first, of equal ones the first.
func descending(order []uint64, scores []float32, least float32) []uint64 {
	for i, v := range scores {
		if !(v > least) {
			continue
		}
		if v == 0 {
			v = 0 // -0 too
		}
		key := math.Float32bits(v)
		if key>>31 == 0 {
			key = ^key &^ (1 << 31)
		}
		order = append(order, uint64(key)<<32|uint64(i))
	}
	slices.Sort(order)
	return order
}

// corner is a box: its lower corner, its upper one and its area.
type corner struct{ x0, y0, x1, y1, area float32 }

func corners(b []float32, centre bool) corner {
	c := corner{x0: min(b[0], b[2]), y0: min(b[1], b[3]), x1: max(b[0], b[2]), y1: max(b[1], b[3])}
	if centre {
		w, h := float32(b[2]/2), float32(b[3]/2)
		c = corner{x0: b[0] - w, y0: b[1] - h, x1: b[0] + w, y1: b[1] + h}
	}
	c.area = (c.x1 - c.x0) * (c.y1 - c.y0)
	return c
}

// overlaps reports whether what a box has in common with one that is kept is more than a part of what both cover.
func (a *corner) overlaps(kept []corner, threshold float32) bool {
	for i := range kept {
		b := &kept[i]
		w, h := min(a.x1, b.x1)-max(a.x0, b.x0), min(a.y1, b.y1)-max(a.y0, b.y0)
		if w <= 0 || h <= 0 || a.area <= 0 || b.area <= 0 {
			continue
		}
		both := float32(w * h)
		if both/(a.area+b.area-both) > threshold {
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
