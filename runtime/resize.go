package rt

import (
	"math"
	"unsafe"
)

// Resize samples planes of H by W anew as OH by OW: cubic with coefficient A or linear; Coord is 0 for half pixels, 1 for
// PyTorch's, 2 for aligned corners, 3 for none of them.
type Resize struct {
	Planes, H, W, OH, OW, Coord int
	Cubic                       bool
	A                           float64
	X, Out                      Ptr
}

// Resize runs the operator.
func (s *Session) Resize(r Resize) {
	s.enter()
	s.res = r
	s.parallel(r.Planes, s.task.res)
	s.leave(0)
}

func (s *Session) resizeTask(_, p int) {
	r := &s.res
	x := unsafe.Slice((*float32)(At(r.X, p*r.H*r.W*4)), r.H*r.W)
	y := unsafe.Slice((*float32)(At(r.Out, p*r.OH*r.OW*4)), r.OH*r.OW)
	for i := range r.OH {
		rows, wr, n := r.taps(i, r.H, r.OH)
		for j := range r.OW {
			cols, wc, _ := r.taps(j, r.W, r.OW)
			sum := float32(0)
			for b := range n {
				line := float32(0)
				for c := range n {
					line = FMA(wc[c], x[rows[b]*r.W+cols[c]], line)
				}
				sum = FMA(wr[b], line, sum)
			}
			y[i*r.OW+j] = sum
		}
	}
}

// taps are the places and weights of output coordinate i.
func (r *Resize) taps(i, in, out int) (at [4]int, w [4]float32, n int) {
	scale := float64(in) / float64(out)
	x := float64(float64(float64(i)+0.5)*scale) - 0.5
	switch {
	case r.Coord == 3:
		x = float64(i) * scale
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
		return [4]int{low, min(low+1, in-1)}, [4]float32{float32(1 - t), float32(t)}, 2
	}
	for j := range at {
		at[j] = min(max(low-1+j, 0), in-1)
	}
	return at, [4]float32{r.outer(t + 1), r.inner(t), r.inner(1 - t), r.outer(2 - t)}, 4
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
