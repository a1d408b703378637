package rt

import (
	"math"
	"unsafe"
)

// Resize samples planes of H by W places, of Channels elements each, anew as OH by OW: cubic with coefficient A or linear; Coord is 0 for half
// pixels, 1 for PyTorch's, 2 for aligned corners, 3 for none of them. Kernel is the row kernel of the places and their weights in turns,
// and the result.
type Resize struct {
	Planes, H, W, OH, OW, Channels, Coord int
	Cubic                                 bool
	A                                     float64
	Scales                                [2]float64 // of height and width; 0 for the ratio of the sizes
	Kernel                                int
	X, Out                                Ptr

	rows, columns []sample
	lines         int // of the result that a task does
}

// sample is the places that an element of the result comes of, and their weights.
type sample struct {
	at [4]int
	w  [4]float32
}

// fewChannels is up to how many channels a place is combined element by element: a kernel would cost more than it does.
const fewChannels = 8

// Resize runs the operator.
func (s *Session) Resize(r Resize) {
	if r.Planes*r.OH*r.OW*r.Channels == 0 {
		return
	}
	s.enter()
	table := s.samples[:0]
	for i := range r.OH + r.OW {
		var t sample
		if i < r.OH {
			t.at, t.w = r.taps(i, r.H, r.OH, r.Scales[0])
		} else {
			t.at, t.w = r.taps(i-r.OH, r.W, r.OW, r.Scales[1])
		}
		table = append(table, t)
	}
	s.samples, r.rows, r.columns = table, table[:r.OH], table[r.OH:]
	r.lines = CeilDiv(r.OH, CeilDiv(2*s.threads()-1, r.Planes))
	s.res = r
	s.parallel(r.Planes*CeilDiv(r.OH, r.lines), s.task.res)
	s.leave(0)
}

// resizeTask does some lines of a plane: those of the image that they come of are resized first, and kept while they are used.
func (s *Session) resizeTask(worker, i int) {
	r, w := &s.res, &s.workers[worker]
	tasks, size, n := CeilDiv(r.OH, r.lines), r.OW*r.Channels, r.count()
	plane, first := i/tasks, i%tasks*r.lines
	room := w.scratchFor(len(sample{}.at) * size)
	kept := [len(sample{}.at)]int{-1, -1, -1, -1}
	for y := first; y < min(first+r.lines, r.OH); y++ {
		t := &r.rows[y]
		for _, row := range t.at[:n] {
			slot := row % len(kept)
			if kept[slot] != row {
				kept[slot] = row
				r.line(s, w, At(r.X, (plane*r.H+row)*r.W*r.Channels*4), room[slot*size:(slot+1)*size])
			}
		}
		for at := 0; at < size; at += mapped {
			for b, row := range t.at[:n] {
				w.ptrs[2*b], w.ptrs[2*b+1] = Ptr(&room[row%len(kept)*size+at]), Ptr(&t.w[b])
			}
			w.ptrs[2*n] = At(r.Out, ((plane*r.OH+y)*size+at)*4)
			callRow(s.k.Rows[r.Kernel], min(mapped, size-at), &w.ptrs)
		}
	}
}

// line resizes one line of the image.
func (r *Resize) line(s *Session, w *worker, x Ptr, out []float32) {
	n, c := r.count(), r.Channels
	if c <= fewChannels {
		from := unsafe.Slice((*float32)(x), r.W*c)
		for j := range r.columns {
			t := &r.columns[j]
			for k := range c {
				sum := float32(0)
				for b := range n {
					sum = FMA(t.w[b], from[t.at[b]*c+k], sum)
				}
				out[j*c+k] = sum
			}
		}
		return
	}
	for j := range r.columns {
		t := &r.columns[j]
		for b := range n {
			w.ptrs[2*b], w.ptrs[2*b+1] = At(x, t.at[b]*c*4), Ptr(&t.w[b])
		}
		w.ptrs[2*n] = Ptr(&out[j*c])
		callRow(s.k.Rows[r.Kernel], c, &w.ptrs)
	}
}

// count is how many places an element of the result comes of, along an axis.
func (r *Resize) count() int {
	if r.Cubic {
		return 4
	}
	return 2
}

// taps are the places and weights of output coordinate i.
func (r *Resize) taps(i, in, out int, scale float64) (at [4]int, w [4]float32) {
	step := float64(in) / float64(out)
	if scale != 0 {
		step = 1 / scale
	}
	x := float64(float64(float64(i)+0.5)*step) - 0.5
	switch {
	case r.Coord == 3:
		x = float64(i) * step
	case r.Coord == 2 && out > 1:
		x = float64(float64(i)*float64(in-1)) / float64(out-1)
	case r.Coord == 2, r.Coord == 1 && out == 1:
		x = 0
	}
	if !r.Cubic {
		x = min(max(x, 0), float64(in-1))
	}
	low := int(math.Floor(x))
	t := x - float64(low)
	if !r.Cubic {
		return [4]int{low, min(low+1, in-1)}, [4]float32{float32(1 - t), float32(t)}
	}
	for j := range at {
		at[j] = min(max(low-1+j, 0), in-1)
	}
	return at, [4]float32{r.outer(t + 1), r.inner(t), r.inner(1 - t), r.outer(2 - t)}
}

// outer and inner are the two pieces of the cubic kernel, in explicit steps so that no compiler fuses two.
func (r *Resize) outer(d float64) float32 {
	v := float64(r.A*d) - float64(5*r.A)
	v = float64(v*d) + float64(8*r.A)
	return float32(float64(v*d) - float64(4*r.A))
}

func (r *Resize) inner(d float64) float32 {
	v := float64((r.A+2)*d) - (r.A + 3)
	return float32(float64(float64(v*d)*d) + 1)
}
