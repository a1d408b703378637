package rt

import (
	"math"
	"unsafe"
)

// NegInf is what lies around an image before a maximum is taken.
var NegInf = float32(math.Inf(-1))

// Taps combines, for every place of the result [batch, out…, channels], the places of a window of X [batch, in…, channels], channel by
// channel: depthwise convolutions, pooling and reductions of an image. Row kernels take a few places each: the first begins the result,
// the last ends it. A place outside the image is read from Edge.
type Taps struct {
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [2]int
	Pad                              [2]int
	X, Out                           Ptr
	Edge                             Ptr     // room for joined*channels elements
	Fill                             float32 // what they hold
	W, Bias                          Ptr     // weights [taps, joined*channels], bias [joined*channels]; nil for none
	Joined                           int     // how many neighbours of the result are one row: more than one only with stride 1
	Each                             int     // places a kernel takes
	Kernels                          [4]int  // first, middle, last, and the only one if one is enough; -1 for none

	inner [2]int // the first place of a line whose window is inside it, and the first after it whose is not
}

// Taps runs the operator.
func (s *Session) Taps(t Taps) {
	s.taps = t
	n := &s.taps
	s.enter()
	if n.Edge != nil {
		edge := unsafe.Slice((*float32)(n.Edge), n.Joined*n.Channels)
		for i := range edge {
			edge[i] = n.Fill
		}
	}
	reach := n.Dil[1] * (n.Kernel[1] - 1)
	n.inner[0] = min(CeilDiv(n.Pad[1], n.Stride[1]), n.Windows[1])
	n.inner[1] = max(min(FloorDiv(n.In[1]-1-reach+n.Pad[1], n.Stride[1])+1, n.Windows[1]), n.inner[0])
	s.parallel(n.Batch*n.Windows[0], s.task.taps)
	s.leave(2 * n.Batch * n.Windows[0] * n.Windows[1] * n.Channels * n.Kernel[0] * n.Kernel[1])
}

// tapsTask does one line of the result: single places at its ends, rows of several between.
func (s *Session) tapsTask(worker, i int) {
	n, w := &s.taps, &s.workers[worker]
	for x := 0; x < n.Windows[1]; {
		count := 1
		if x >= n.inner[0] && x < n.inner[1] {
			count = min(n.Joined, n.inner[1]-x)
		}
		n.place(s, w, i, x, count)
		x += count
	}
}

// place runs the kernels on count neighbours from place x of line i on.
func (n *Taps) place(s *Session, w *worker, i, x, count int) {
	b, y := i/n.Windows[0], i%n.Windows[0]*n.Stride[0]-n.Pad[0]
	left := x*n.Stride[1] - n.Pad[1]
	taps, row := n.Kernel[0]*n.Kernel[1], n.Joined*n.Channels*4
	for k := 0; k < taps; k += n.Each {
		m := min(n.Each, taps-k)
		p := 0
		for t := k; t < k+m; t++ {
			py, px := y+t/n.Kernel[1]*n.Dil[0], left+t%n.Kernel[1]*n.Dil[1]
			if w.ptrs[p] = n.Edge; py >= 0 && py < n.In[0] && px >= 0 && px < n.In[1] {
				w.ptrs[p] = At(n.X, ((b*n.In[0]+py)*n.In[1]+px)*n.Channels*4)
			}
			p++
			if n.W != nil {
				w.ptrs[p] = At(n.W, t*row)
				p++
			}
		}
		last := k+m >= taps
		if last && n.Bias != nil {
			w.ptrs[p] = n.Bias
			p++
		}
		w.ptrs[p] = At(n.Out, (i*n.Windows[1]+x)*n.Channels*4)
		callRow(s.k.Rows[n.kernel(k == 0, last)], count*n.Channels, &w.ptrs)
	}
}

// kernel is the row kernel for the first places, the last ones, both or neither.
func (n *Taps) kernel(first, last bool) int {
	switch {
	case first && last:
		return n.Kernels[3]
	case first:
		return n.Kernels[0]
	case last:
		return n.Kernels[2]
	}
	return n.Kernels[1]
}
