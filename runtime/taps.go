package rt

import (
	"math"
	"unsafe"
)

// NegInf is what padding holds before a maximum.
var NegInf = float32(math.Inf(-1))

// Taps combines, for every place of the result [batch, out…, channels], the places of a window of X [batch, in…, channels], channel by
// channel: depthwise convolutions, pooling and reductions of an image. X is first copied into a frame that holds the padding. Row
// kernels take a few places each: the first begins the result, the last ends it.
type Taps struct {
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [2]int
	Pad                              [2]int
	X, Out, Frame                    Ptr
	Fill                             float32 // what the padding holds
	W, Bias                          Ptr     // weights [taps, joined*channels], bias [joined*channels]; nil for none
	Joined                           int     // how many neighbours of the result are one row: more than one only with stride 1
	Each                             int     // places a kernel takes
	Kernels                          [4]int  // first, middle, last, and the only one if one is enough; -1 for none
	frame                            [2]int  // the frame's sizes
}

// Taps runs the operator.
func (s *Session) Taps(t Taps) {
	s.taps = t
	n := &s.taps
	s.enter()
	for a := range n.frame {
		n.frame[a] = (n.Windows[a]-1)*n.Stride[a] + n.Dil[a]*(n.Kernel[a]-1) + 1
	}
	if n.Frame != nil {
		s.parallel(n.Batch*n.frame[0], s.task.tapsFrame)
		n.X = n.Frame
	} else {
		n.frame = n.In
	}
	s.parallel(n.Batch*n.Windows[0], s.task.taps)
	s.leave(2 * n.Batch * n.Windows[0] * n.Windows[1] * n.Channels * n.Kernel[0] * n.Kernel[1])
}

// tapsFrameTask fills one line of the frame.
func (s *Session) tapsFrameTask(_, i int) {
	n := &s.taps
	b, y := i/n.frame[0], i%n.frame[0]-n.Pad[0]
	width := n.frame[1] * n.Channels
	line := unsafe.Slice((*float32)(At(n.Frame, i*width*4)), width)
	if y < 0 || y >= n.In[0] {
		fill(line, n.Fill)
		return
	}
	left := min(n.Pad[1], n.frame[1]) * n.Channels
	fill(line[:left], n.Fill)
	x := unsafe.Slice((*float32)(At(n.X, (b*n.In[0]+y)*n.In[1]*n.Channels*4)), n.In[1]*n.Channels)
	k := left + copy(line[left:], x)
	fill(line[k:], n.Fill)
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

// tapsTask does one line of the result.
func (s *Session) tapsTask(worker, i int) {
	n, w := &s.taps, &s.workers[worker]
	b, y := i/n.Windows[0], i%n.Windows[0]
	row := n.Joined * n.Channels * 4
	for x := 0; x < n.Windows[1]; x += n.Joined {
		count := min(n.Joined, n.Windows[1]-x)
		out := At(n.Out, (i*n.Windows[1]+x)*n.Channels*4)
		base := ((b*n.frame[0]+y*n.Stride[0])*n.frame[1] + x*n.Stride[1]) * n.Channels * 4
		n.place(s, w, out, base, row, count*n.Channels)
	}
}

// place runs the kernels of one row of the result of length elements.
func (n *Taps) place(s *Session, w *worker, out Ptr, base, row, length int) {
	taps := n.Kernel[0] * n.Kernel[1]
	for k := 0; k < taps; k += n.Each {
		m := min(n.Each, taps-k)
		p := 0
		for t := k; t < k+m; t++ {
			off := (t/n.Kernel[1]*n.Dil[0]*n.frame[1] + t%n.Kernel[1]*n.Dil[1]) * n.Channels * 4
			w.ptrs[p] = At(n.X, base+off)
			p++
			if n.W != nil {
				w.ptrs[p] = At(n.W, t*row)
				p++
			}
		}
		kernel := n.Kernels[1]
		switch {
		case k == 0 && k+m >= taps:
			kernel = n.Kernels[3]
		case k == 0:
			kernel = n.Kernels[0]
		case k+m >= taps:
			kernel = n.Kernels[2]
		}
		if k+m >= taps && n.Bias != nil {
			w.ptrs[p] = n.Bias
			p++
		}
		w.ptrs[p] = out
		callRow(s.k.Rows[kernel], length, &w.ptrs)
	}
}
