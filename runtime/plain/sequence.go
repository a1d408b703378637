package plain

import (
	"fmt"
	"math"
	"sort"
)

// SplitPart copies part Ints[1] of the axis Ints[0] of In[0], which In[1] cuts into parts of those sizes; the count is the part's size.
func SplitPart(a *Args) (int, error) {
	in, axis := &a.In[0], a.Ints[0]
	start, size, total := 0, 0, 0
	for i := range a.In[1].Len() {
		n := integer(&a.In[1], i)
		if n < 0 || n > in.Dims[axis]-total {
			return 0, fmt.Errorf("part %d of %d entries, %d of which are left, is to hold %d", i, in.Dims[axis], in.Dims[axis]-total, n)
		}
		if i == a.Ints[1] {
			start, size = total, n
		}
		total += n
	}
	if total != in.Dims[axis] {
		return 0, fmt.Errorf("parts of %d in all for an axis of %d", total, in.Dims[axis])
	}
	inner := product(in.Dims[axis+1:in.Rank]) * in.Elem.Size()
	from, to := raw(in), raw(&a.Out[0])
	for o := range product(in.Dims[:axis]) {
		copy(to[o*size*inner:][:size*inner], from[(o*in.Dims[axis]+start)*inner:])
	}
	return size, nil
}

// ReverseSequence turns the first In[1][b] entries of the time axis Ints[0] of In[0] around, for each b of the batch axis Ints[1]; the two
// axes are the first two.
func ReverseSequence(a *Args) (int, error) {
	in, out := &a.In[0], raw(&a.Out[0])
	time, batch := a.Ints[0], a.Ints[1]
	inner := product(in.Dims[2:in.Rank]) * in.Elem.Size()
	steps := [2]int{in.Dims[1] * inner, inner}
	for b := range in.Dims[batch] {
		n := integer(&a.In[1], b)
		if n < 0 || n > in.Dims[time] {
			return 0, fmt.Errorf("a length of %d for %d entries", n, in.Dims[time])
		}
		for t := range in.Dims[time] {
			from := t
			if t < n {
				from = n - 1 - t
			}
			to, at := t*steps[time]+b*steps[batch], from*steps[time]+b*steps[batch]
			copy(out[to:to+inner], raw(in)[at:])
		}
	}
	return 0, nil
}

// CumProd and CumSum are the running product and sum along the last axis; Ints: exclusive, reverse.
func CumProd(a *Args) (int, error) { return running(a, true) }

func CumSum(a *Args) (int, error) { return running(a, false) }

func running(a *Args, product bool) (int, error) {
	switch a.In[0].Elem {
	case F32:
		scan[float32](a, product)
	case F64:
		scan[float64](a, product)
	case I32:
		scan[int32](a, product)
	case U32:
		scan[uint32](a, product)
	case I64:
		scan[int64](a, product)
	case U64:
		scan[uint64](a, product)
	}
	return 0, nil
}

func scan[T Number](a *Args, product bool) {
	x, y, n := data[T](&a.In[0]), data[T](&a.Out[0]), a.In[0].Dims[a.In[0].Rank-1]
	for r := 0; r < len(x); r += n {
		p := T(0)
		if product {
			p = 1
		}
		for i := range n {
			k := r + i
			if a.Ints[1] != 0 {
				k = r + n - 1 - i
			}
			next := p + x[k]
			if product {
				next = p * x[k]
			}
			if y[k] = next; a.Ints[0] != 0 {
				y[k] = p
			}
			p = next
		}
	}
}

// Det is the determinant of the last two axes of In[0], f32, by elimination in f64 with the greatest pivots.
func Det(a *Args) (int, error) {
	in := &a.In[0]
	x, y, n := data[float32](in), data[float32](&a.Out[0]), in.Dims[in.Rank-1]
	m := make([]float64, n*n)
	for b := range y {
		for i := range m {
			m[i] = float64(x[b*n*n+i])
		}
		y[b] = float32(determinant(m, n))
	}
	return 0, nil
}

func determinant(m []float64, n int) float64 {
	det := 1.0
	for k := range n {
		p := k
		for i := k + 1; i < n; i++ {
			if math.Abs(m[i*n+k]) > math.Abs(m[p*n+k]) {
				p = i
			}
		}
		if m[p*n+k] == 0 {
			return 0
		}
		if p != k {
			det = -det
			for j := range n {
				m[p*n+j], m[k*n+j] = m[k*n+j], m[p*n+j]
			}
		}
		det = float64(det * m[k*n+k])
		for i := k + 1; i < n; i++ {
			f := m[i*n+k] / m[k*n+k]
			for j := k; j < n; j++ {
				m[i*n+j] -= float64(f * m[k*n+j])
			}
		}
	}
	return det
}

// Copy gives the bytes of In[0] another type or shape.
func Copy(a *Args) (int, error) {
	copy(raw(&a.Out[0]), raw(&a.In[0]))
	return 0, nil
}

// RoiAlign pools regions In[1] [regions, 4] of the images In[0] [batch, channels, height, width] that In[2] names to a fixed size. Ints:
// sampling ratio (0: as many samples as the bin is wide), max instead of mean, half pixel. Floats: the spatial scale (He et al., 2017).
func RoiAlign(a *Args) (int, error) {
	in, rois, out := &a.In[0], data[float32](&a.In[1]), &a.Out[0]
	x, y := data[float32](in), data[float32](out)
	channels, h, w, oh, ow := in.Dims[1], in.Dims[2], in.Dims[3], out.Dims[2], out.Dims[3]
	half := 0.0
	if a.Ints[2] != 0 {
		half = 0.5
	}
	for r := range out.Dims[0] {
		b, err := index(&a.In[2], r, in.Dims[0])
		if err != nil {
			return 0, err
		}
		var box [4]float64
		for i := range box {
			box[i] = float64(float64(rois[r*4+i])*a.Floats[0]) - half
		}
		bw, bh := box[2]-box[0], box[3]-box[1]
		if half == 0 {
			bw, bh = max(bw, 1), max(bh, 1)
		}
		bw, bh = bw/float64(ow), bh/float64(oh)
		nx, ny := a.Ints[0], a.Ints[0]
		if nx <= 0 {
			nx, ny = int(math.Ceil(bw)), int(math.Ceil(bh))
		}
		for c := range channels {
			plane := x[(b*channels+c)*h*w:][:h*w]
			for i := range oh * ow {
				py, px := box[1]+float64(float64(i/ow)*bh), box[0]+float64(float64(i%ow)*bw)
				y[(r*channels+c)*oh*ow+i] = float32(pooled(plane, h, w, py, px, bh, bw, ny, nx, a.Ints[1] != 0))
			}
		}
	}
	return 0, nil
}

// pooled combines ny by nx samples of a bin.
func pooled(plane []float32, h, w int, py, px, bh, bw float64, ny, nx int, greatest bool) float64 {
	sum, best := 0.0, math.Inf(-1)
	for i := range ny {
		for j := range nx {
			y := py + float64((float64(i)+0.5)*bh)/float64(ny)
			x := px + float64((float64(j)+0.5)*bw)/float64(nx)
			v, top := bilinear(plane, h, w, y, x)
			sum, best = sum+v, max(best, top)
		}
	}
	if greatest {
		if nx*ny == 0 {
			return 0
		}
		return best
	}
	return sum / float64(max(nx*ny, 1))
}

// bilinear is the sample at (y, x), and the greatest of its four weighted terms.
func bilinear(plane []float32, h, w int, y, x float64) (sum, top float64) {
	if y < -1 || y > float64(h) || x < -1 || x > float64(w) {
		return 0, 0
	}
	y, x = max(y, 0), max(x, 0)
	y0, x0 := min(int(y), h-1), min(int(x), w-1)
	y1, x1 := min(y0+1, h-1), min(x0+1, w-1)
	if y0 == h-1 {
		y = float64(y0)
	}
	if x0 == w-1 {
		x = float64(x0)
	}
	fy, fx := y-float64(y0), x-float64(x0)
	top = math.Inf(-1)
	for _, t := range [4]struct {
		at     int
		weight float64
	}{{y0*w + x0, float64((1 - fy) * (1 - fx))}, {y0*w + x1, float64((1 - fy) * fx)}, {y1*w + x0, float64(fy * (1 - fx))}, {y1*w + x1, float64(fy * fx)}} {
		v := float64(t.weight * float64(plane[t.at]))
		sum, top = sum+v, max(top, v)
	}
	return sum, top
}

// Unique finds the different slices of In[0] [axis, inner]: Out[0] holds them, Out[1] where each comes first, Out[2] which of them each
// slice is, Out[3] how often each comes. Ints[0]: sorted rather than in order of appearance.
func Unique(a *Args) (int, error) {
	in := &a.In[0]
	n := in.Dims[0]
	size := 0
	if n > 0 {
		size = len(raw(in)) / n
	}
	slice := func(i int) []byte { return raw(in)[i*size : (i+1)*size] }
	first, inverse, counts := data[int64](&a.Out[1]), data[int64](&a.Out[2]), data[int64](&a.Out[3])
	var heads []int
	seen := map[string]int{}
	for i := range n {
		k, ok := seen[string(slice(i))]
		if !ok {
			k = len(heads)
			seen[string(slice(i))] = k
			heads, counts[k] = append(heads, i), 0
		}
		inverse[i] = int64(k)
		counts[k]++
	}
	order := make([]int, len(heads))
	for i := range order {
		order[i] = i
	}
	if a.Ints[0] != 0 {
		sort.SliceStable(order, func(i, j int) bool { return less(in, heads[order[i]], heads[order[j]]) })
	}
	place, times := make([]int64, len(heads)), append([]int64{}, counts[:len(heads)]...)
	for to, k := range order {
		copy(raw(&a.Out[0])[to*size:], slice(heads[k]))
		first[to], counts[to], place[k] = int64(heads[k]), times[k], int64(to)
	}
	for i := range n {
		inverse[i] = place[inverse[i]]
	}
	return len(heads), nil
}

// less compares slices i and j of a tensor's first axis element by element.
func less(t *Tensor, i, j int) bool {
	inner := t.Len() / max(t.Dims[0], 1)
	for k := range inner {
		x, y := number(t, i*inner+k), number(t, j*inner+k)
		if x != y {
			return x < y
		}
	}
	return false
}

// number is element i as f64.
func number(t *Tensor, i int) float64 {
	switch t.Elem {
	case F32:
		return float64(data[float32](t)[i])
	case F64:
		return data[float64](t)[i]
	case I16:
		return float64(data[int16](t)[i])
	case U16:
		return float64(data[uint16](t)[i])
	case U32:
		return float64(data[uint32](t)[i])
	case U64:
		return float64(data[uint64](t)[i])
	}
	return float64(integer(t, i))
}
