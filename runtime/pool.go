package rt

import (
	"math"
	"unsafe"
)

// Pool combines windows of up to three spatial axes of Planes planes: the greatest element or, without Max, the sum in increasing
// order divided by the number of elements, padding counted if CountPad. PadEnd is the padding behind.
type Pool struct {
	Planes                           int
	In, Windows, Kernel, Stride, Dil [3]int
	Pad, PadEnd                      [3]int
	Max, CountPad                    bool
	X, Out                           Ptr
}

// Pool runs the operator.
func (s *Session) Pool(p Pool) {
	s.enter()
	s.pool = p
	s.parallel(p.Planes, s.task.pool)
	s.leave(0)
}

func (s *Session) poolTask(_, plane int) {
	p := &s.pool
	size := p.In[0] * p.In[1] * p.In[2]
	x := unsafe.Slice((*float32)(At(p.X, plane*size*4)), size)
	n := p.Windows[0] * p.Windows[1] * p.Windows[2]
	out := unsafe.Slice((*float32)(At(p.Out, plane*n*4)), n)
	at := 0
	for w0 := range p.Windows[0] {
		for w1 := range p.Windows[1] {
			for w2 := range p.Windows[2] {
				out[at] = p.window(x, [3]int{w0, w1, w2})
				at++
			}
		}
	}
}

// span is the part lo … hi of a window's axis that lies within the input, and how many of its places count with the padding.
func (p *Pool) span(axis, w int) (start, lo, hi, padded int) {
	start = w*p.Stride[axis] - p.Pad[axis]
	for lo < p.Kernel[axis] && start+lo*p.Dil[axis] < 0 {
		lo++
	}
	for hi = lo; hi < p.Kernel[axis] && start+hi*p.Dil[axis] < p.In[axis]; {
		hi++
	}
	for padded = hi; padded < p.Kernel[axis] && start+padded*p.Dil[axis] < p.In[axis]+p.PadEnd[axis]; {
		padded++
	}
	return start, lo, hi, padded
}

func (p *Pool) window(x []float32, w [3]int) float32 {
	s0, l0, h0, n0 := p.span(0, w[0])
	s1, l1, h1, n1 := p.span(1, w[1])
	s2, l2, h2, n2 := p.span(2, w[2])
	best, sum := float32(math.Inf(-1)), float32(0)
	for k0 := l0; k0 < h0; k0++ {
		for k1 := l1; k1 < h1; k1++ {
			line := ((s0+k0*p.Dil[0])*p.In[1]+s1+k1*p.Dil[1])*p.In[2] + s2
			for k2 := l2; k2 < h2; k2++ {
				v := x[line+k2*p.Dil[2]]
				sum += v
				if v > best {
					best = v
				}
			}
		}
	}
	if p.Max {
		return best
	}
	count := (h0 - l0) * (h1 - l1) * (h2 - l2)
	if p.CountPad {
		count = n0 * n1 * n2
	}
	return sum / float32(count)
}
