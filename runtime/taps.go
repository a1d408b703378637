package rt

import (
	"math"
	"unsafe"
)

// NegInf is what lies around an image before a maximum is taken.
var NegInf = float32(math.Inf(-1))

// Taps combines, for every place of the result [batch, out…, channels], the places of a window of X [batch, in…, channels], channel by
// channel: depthwise convolutions, pooling and reductions of an image. A walk kernel does a line of the result, some places of the windows
// at a time: the first begins the result, the last ends it. A place outside the image is read from Edge.
type Taps struct {
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [2]int
	Pad                              [2]int
	X, Out                           Ptr
	Edge                             Ptr     // room for a line of the image
	Fill                             float32 // what it holds
	W, Bias                          Ptr     // weights [taps, channels], bias [channels]; nil for none
	Each                             int     // places of a window that a kernel takes
	Kernels                          [4]int  // first, middle, last, and the only one if one is enough; -1 for none

	inner [2]int // the first place of a line whose window is inside it, and the first after it whose is not
	most  int    // places that a call does: it must end before long, as the scheduler cannot interrupt it
}

// walkFlops is about how many multiplications and additions a call of a walk kernel does at most: some 100 µs.
const walkFlops = 4 << 20

// Taps runs the operator.
func (s *Session) Taps(t Taps) {
	s.taps = t
	n := &s.taps
	s.enter()
	if n.Edge != nil {
		edge := unsafe.Slice((*float32)(n.Edge), n.In[1]*n.Channels)
		for i := range edge {
			edge[i] = n.Fill
		}
	}
	reach := n.Dil[1] * (n.Kernel[1] - 1)
	n.inner[0] = min(CeilDiv(n.Pad[1], n.Stride[1]), n.Windows[1])
	n.inner[1] = max(min(FloorDiv(n.In[1]-1-reach+n.Pad[1], n.Stride[1])+1, n.Windows[1]), n.inner[0])
	n.most = max(1, walkFlops/max(1, 2*n.Channels*n.Each))
	s.parallel(n.Batch*n.Windows[0], s.task.taps)
	s.leave(2 * n.Batch * n.Windows[0] * n.Windows[1] * n.Channels * n.Kernel[0] * n.Kernel[1])
}

// tapsTask does one line of the result: single places at its ends, walks between.
func (s *Session) tapsTask(worker, i int) {
	n, w := &s.taps, &s.workers[worker].walk
	w.N, w.In, w.Out = n.Channels, n.Stride[1]*n.Channels*4, n.Channels*4
	for x := 0; x < n.Windows[1]; x += w.Places {
		w.Places = 1
		if x >= n.inner[0] && x < n.inner[1] {
			w.Places = min(n.inner[1]-x, n.most)
		}
		n.walk(s.k.Walks, w, i, x)
	}
}

// walk runs the kernels on the places from x of line i on.
func (n *Taps) walk(kernels []WalkKernel, w *Walk, i, x int) {
	b, y := i/n.Windows[0], i%n.Windows[0]*n.Stride[0]-n.Pad[0]
	left, row := x*n.Stride[1]-n.Pad[1], n.Channels*4
	taps, p := n.Kernel[0]*n.Kernel[1], 0
	for t, ky, kx := 0, 0, 0; t < taps; t++ {
		py, px := y+ky*n.Dil[0], left+kx*n.Dil[1]
		if w.P[p] = n.Edge; py >= 0 && py < n.In[0] && px >= 0 && px < n.In[1] {
			w.P[p] = At(n.X, ((b*n.In[0]+py)*n.In[1]+px)*row)
		}
		p++
		if n.W != nil {
			w.P[p] = At(n.W, t*row)
			p++
		}
		if kx++; kx == n.Kernel[1] {
			ky, kx = ky+1, 0
		}
		last := t+1 == taps
		if !last && (t+1)%n.Each != 0 {
			continue
		}
		if last && n.Bias != nil {
			w.P[p] = n.Bias
			p++
		}
		w.P[p] = At(n.Out, (i*n.Windows[1]+x)*row)
		callWalk(kernels[n.kernel(t < n.Each, last)], w)
		p = 0
	}
}

// kernel is the walk kernel for the first places, the last ones, both or neither.
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
