package rt

import (
	"math"
	"unsafe"
)

// NegInf is what lies around an image before a maximum is taken.
var NegInf = float32(math.Inf(-1))

// Taps combines, for every place of the result [batch, out…, channels], the places of a window of X [batch, in…, channels], channel by
// channel: depthwise convolutions, pooling and reductions of an image. A walk kernel does a line of the result, some places of the windows
// at a time: the first begins the result, the last ends it.
type Taps struct {
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [2]int
	Pad                              [2]int
	X, Out                           Ptr
	Edge                             Ptr     // room for a line of the image: what is read outside of it
	Fill                             float32 // what it holds
	W, Bias                          Ptr     // weights [taps, channels], bias [channels]; nil for none
	Each                             int     // places of a window that a kernel takes
	Kernels                          [4]int  // first, middle, last, and the only one if one is enough; -1 for none
	Means                            LineMeans
	Layer                            Linear // if it has columns: X is its result, and is made a line at a time

	width int    // channels that a task does
	inner [2]int // the first place of a line whose window is inside it, and the first after it whose is not
	most  int    // places that a call does: it must end before long, as the scheduler cannot interrupt it
	each  int    // lines of the result that a task does
	ring  int    // lines that X has room for, if it is not the image: with what lies beside it, and one of what lies above and below
	span  int    // places of such a line
}

// LineMeans are the means of the lines of an image, [batch, out height, channels], and the walk kernels that sum Each places up; Out is nil
// for none.
type LineMeans struct {
	Out     Ptr
	Each    int
	Kernels [4]int
}

// walkFlops is about how many multiplications and additions a call of a walk kernel does at most: some 100 µs.
const walkFlops = 4 << 20

// Taps runs the operator.
func (s *Session) Taps(t Taps) {
	s.taps = t
	n := &s.taps
	s.enter()
	n.cut(s.threads())
	s.means = n.Means.taps(n)
	flops := 2 * n.Batch * n.Windows[0] * n.Windows[1] * n.Channels * n.Kernel[0] * n.Kernel[1]
	if n.ring > 0 {
		s.parallel(n.Batch*CeilDiv(n.Windows[0], n.each), s.task.ring)
		flops += 2 * n.Layer.M * n.Layer.N * n.Layer.K
	} else {
		if n.Edge != nil {
			n.fill(unsafe.Slice((*float32)(n.Edge), n.In[1]*n.Channels))
		}
		s.parallel(n.Batch*n.Windows[0]*CeilDiv(n.Channels, n.width), s.task.taps)
	}
	s.leave(flops)
}

// fill writes what lies around the image.
func (n *Taps) fill(to []float32) {
	if n.Fill == 0 {
		clear(to)
		return
	}
	for i := range to {
		to[i] = n.Fill
	}
}

// edgeShare is from which part of a line on the places whose windows reach over the image are so many, each a call, that its lines are better
// copied with what lies beside it, if as many as a window has are no more than ringFloats.
const (
	edgeShare  = 8
	ringFloats = 1 << 18
)

// cut says how much a task does: a line of the result or, where there are fewer lines than threads, some of its channels; or a stretch of lines
// of which the image's are made or copied.
func (n *Taps) cut(threads int) {
	reach := n.Dil[1] * (n.Kernel[1] - 1)
	n.inner[0] = min(CeilDiv(n.Pad[1], n.Stride[1]), n.Windows[1])
	n.inner[1] = max(min(FloorDiv(n.In[1]-1-reach+n.Pad[1], n.Stride[1])+1, n.Windows[1]), n.inner[0])
	n.width = max(1, n.Channels)
	n.ring, n.each = 0, 1
	ring := n.Dil[0]*(n.Kernel[0]-1) + 1
	span := max(n.Pad[1]+n.In[1], (n.Windows[1]-1)*n.Stride[1]+reach+1)
	edges := n.Windows[1] - (n.inner[1] - n.inner[0])
	fits := edges > 0 && edges*edgeShare >= n.Windows[1] && n.Batch*n.Windows[0] >= threads && (ring+1)*span <= ringFloats/max(1, n.Channels)
	switch {
	case n.Layer.N > 0 || fits:
		n.ring, n.span = ring, span
		n.each = max(1, CeilDiv(n.Windows[0], CeilDiv(threads, max(1, n.Batch))))
		n.inner = [2]int{0, n.Windows[1]}
	case n.Batch*n.Windows[0] < threads:
		n.width = max(Lanes, CeilDiv(CeilDiv(n.Channels, threads), Lanes)*Lanes)
	}
	n.most = max(WalkStep, walkFlops/max(1, 2*n.width*n.Each)/WalkStep*WalkStep)
}

// taps are the windows that a mean of a line of n's result is taken of.
func (m *LineMeans) taps(n *Taps) Taps {
	return Taps{Batch: n.Batch, Channels: n.Channels, In: n.Windows, Windows: [2]int{n.Windows[0], 1}, Kernel: [2]int{1, n.Windows[1]},
		Stride: [2]int{1, 1}, Dil: [2]int{1, 1}, X: n.Out, Out: m.Out, Each: m.Each, Kernels: m.Kernels, width: n.width}
}

// tapsTask does one line of the result, or some of its channels.
func (s *Session) tapsTask(worker, i int) {
	n, w := &s.taps, &s.workers[worker].walk
	parts := CeilDiv(n.Channels, n.width)
	line, c := i/parts, i%parts*n.width
	s.tapsLine(n, w, line, c)
}

// tapsLine does some channels of a line, and of its mean.
func (s *Session) tapsLine(n *Taps, w *Walk, line, c int) {
	n.line(s.k.Walks, w, line, c)
	if n.Means.Out != nil {
		s.means.line(s.k.Walks, w, line, c)
	}
}

// ringTask does a stretch of lines of the result. The lines of the image that they are of are copied, or made by the layer, just before they are
// used, in room for as many as a window has: an image that is several times larger than what it is made of is never in memory.
func (s *Session) ringTask(worker, i int) {
	w, n := &s.workers[worker], s.taps
	parts := CeilDiv(n.Windows[0], n.each)
	b, first := i/parts, i%parts*n.each
	size, line, before := n.span*n.Channels, n.In[1]*n.Channels, n.Pad[1]*n.Channels
	room := w.scratchFor((n.ring + 1) * size)
	n.X = Ptr(unsafe.SliceData(room))
	for r := range n.ring {
		n.fill(room[r*size : r*size+before])
		n.fill(room[r*size+before+line : (r+1)*size])
	}
	n.fill(room[n.ring*size:])
	next := 0
	for y := first; y < min(first+n.each, n.Windows[0]); y++ {
		top := y*n.Stride[0] - n.Pad[0]
		for next = max(next, top, 0); next < min(top+n.ring, n.In[0]); next++ {
			s.ringLine(w, b*n.In[0]+next, room[next%n.ring*size+before:][:line])
		}
		s.tapsLine(&n, &w.walk, b*n.Windows[0]+y, 0)
	}
}

// ringLine copies a line of the image, or makes it.
func (s *Session) ringLine(w *worker, number int, to []float32) {
	n := &s.taps
	if n.Layer.N == 0 {
		copy(to, unsafe.Slice((*float32)(At(n.X, number*len(to)*4)), len(to)))
		return
	}
	l := n.Layer
	l.C = Ptr(unsafe.SliceData(to))
	l.task(s, w, At(l.A, number*n.In[1]*l.RowStep()), 0, n.In[1], 0, CeilDiv(l.N, Lanes))
}

// line does some channels of a line: single places at its ends, walks between.
func (n *Taps) line(kernels []WalkKernel, w *Walk, line, c int) {
	w.N, w.In, w.Out = min(n.width, n.Channels-c), n.Stride[1]*n.Channels*4, n.Channels*4
	taps := n.Kernel[0] * n.Kernel[1]
	if taps <= n.Each {
		n.shared(w, 0, taps, c)
	}
	for x := 0; x < n.Windows[1]; x += w.Places {
		w.Places = 1
		if x >= n.inner[0] && x < n.inner[1] {
			w.Places = walkPlaces(min(n.inner[1]-x, n.most))
		}
		for t := 0; t < taps; t += n.Each {
			end := min(t+n.Each, taps)
			if taps > n.Each {
				n.shared(w, t, end, c)
			}
			w.P[n.result(t, end)] = At(n.Out, ((line*n.Windows[1]+x)*n.Channels+c)*4)
			n.places(w, line, x, c, t, end)
			callWalk(kernels[n.kernel(t == 0, end == taps)], w)
		}
	}
}

// result is the number of the buffer for the result in a kernel for the places t … end of a window.
func (n *Taps) result(t, end int) int {
	return (end-t)*(1+b2i(n.W != nil)) + b2i(n.Bias != nil && end == n.Kernel[0]*n.Kernel[1])
}

// shared gives a kernel for the places t … end what all windows have in common: their weights and, for the last places, the bias.
func (n *Taps) shared(w *Walk, t, end, c int) {
	if n.Bias != nil && end == n.Kernel[0]*n.Kernel[1] {
		w.P[n.result(t, end)-1] = At(n.Bias, c*4)
	}
	for p := 1; n.W != nil && t < end; p += 2 {
		w.P[p] = At(n.W, (t*n.Channels+c)*4)
		t++
	}
}

// walkPlaces is how many of some places a call can do.
func walkPlaces(n int) int {
	if n < WalkStep {
		return n
	}
	return n / WalkStep * WalkStep
}

// places gives a kernel for the places t … end of a window those of the window at x of a line.
func (n *Taps) places(w *Walk, line, x, c, t, end int) {
	b, top := line/n.Windows[0], line%n.Windows[0]*n.Stride[0]-n.Pad[0]
	left, row := x*n.Stride[1]-n.Pad[1], n.Channels*4
	p, step := 0, 1+b2i(n.W != nil)
	for t < end {
		ky, kx := t/n.Kernel[1], t%n.Kernel[1]
		py, px := top+ky*n.Dil[0], left+kx*n.Dil[1]
		from, columns := n.X, 0 // of the image: none if the line is outside
		inside := py >= 0 && py < n.In[0]
		switch {
		case n.ring > 0:
			at := n.ring
			if inside {
				at = py % n.ring
			}
			from, columns, px = At(n.X, at*n.span*row+c*4), n.span, px+n.Pad[1]
		case inside:
			from, columns = At(n.X, (b*n.In[0]+py)*n.In[1]*row+c*4), n.In[1]
		}
		for last := min(end, t-kx+n.Kernel[1]); t < last; t++ {
			if w.P[p] = n.Edge; px >= 0 && px < columns {
				w.P[p] = At(from, px*row)
			}
			px += n.Dil[1]
			p += step
		}
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
