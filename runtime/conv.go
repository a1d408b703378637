package rt

import "unsafe"

// Conv is a Linear on the windows of X [batch, spatial…, channels], one row a window: each row of A is the window's places in order, all
// channels of a place together, zeros outside. The rows are made block by block in a worker's own memory.
//
// With Groups of more than one, the output channels of a group see its input channels alone, K is that of a group, and the panels of a
// group's columns of W follow each other.
type Conv struct {
	Linear
	Batch, Channels, Groups          int
	In, Windows, Kernel, Stride, Dil [3]int
	Pad                              [3]int
	X                                Ptr

	edge    *edge   // what lies around the image; nil for zeros
	slicing slicing // where no rows are made
}

// patchBytes is the most of the windows' rows that a task makes; weightBytes is up to how much of the weights may be walked again for
// every block of rows.
const (
	patchBytes  = 1 << 20
	weightBytes = 1 << 20
)

// Conv runs the layer: tiles read the windows where the image is, or where some of its channels have been copied to, or rows made of them.
func (s *Session) Conv(c Conv) {
	c.Groups = max(1, c.Groups)
	c.K = c.Channels / c.Groups * c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
	c.M = c.Batch * c.Windows[0] * c.Windows[1] * c.Windows[2]
	s.conv = c
	n := &s.conv
	if c.M == 0 || s.dev != nil && s.convOnDevice(n) {
		return
	}
	s.enter()
	switch threads := s.threads(); {
	case n.direct():
		n.shareDirect(s.k.Gemm.Panels, threads)
		s.parallel(CeilDiv(n.directLines(), n.slicing.lines)*n.groups(), s.task.direct)
	case n.sliced():
		n.shareSlices(threads)
		s.parallel(n.Batch*n.Windows[0]*CeilDiv(n.Windows[1], n.slicing.lines)*CeilDiv(n.Windows[2], n.slicing.windows)*CeilDiv(n.Groups, n.slicing.each), s.task.sliced)
	default:
		n.cut(s.k.Gemm.Rows, s.k.Gemm.Panels, threads, patchBytes)
		s.parallel(n.blocks()*n.groups(), s.task.conv)
	}
	s.leave(2 * c.M * c.N * c.K)
}

// cut divides the work of a layer: rows into blocks whose A takes at most that many bytes, of whole tiles for one thread, of equal height for
// several, and columns where blocks are fewer than threads or the weights too many to be walked for each block.
func (l *Linear) cut(tile, np, threads, bytes int) {
	panels := (l.N + Lanes - 1) / Lanes
	most := max(bytes/((min(l.K, maxDepth)+2*l.N)*4), 1)
	if l.N*l.K*4 > weightBytes {
		most = max(bytes/(l.K*4), 1)
	}
	blocks := (l.M + most - 1) / most
	if threads > 1 && l.N*l.K*4 <= weightBytes && l.M >= 4*tile*threads {
		blocks = max((blocks+threads-1)/threads*threads, 2*threads)
	}
	l.rows = CeilDiv(l.M, blocks)
	l.width = panels
	if threads == 1 {
		l.rows = min(l.M, CeilDiv(l.rows, tile)*tile)
		return
	}
	blocks = l.blocks()
	tasks := 2 * threads
	if blocks > threads && blocks%threads != 0 {
		tasks = 8 * threads // the threads that get one more wait less
	}
	if blocks < tasks {
		groups := CeilDiv(tasks, blocks)
		l.width = max(np, CeilDiv(panels, groups)/np*np)
	}
}

func (l *Linear) blocks() int { return (l.M + l.rows - 1) / l.rows }

// groups is the number of groups of panels.
func (l *Linear) groups() int { return ((l.N+Lanes-1)/Lanes + l.width - 1) / l.width }

// part is task i: its rows and panels.
func (l *Linear) part(i int) (r0, r1, p0, p1 int) {
	g := l.groups()
	r0, p0 = i/g*l.rows, i%g*l.width
	return r0, min(r0+l.rows, l.M), p0, min(p0+l.width, (l.N+Lanes-1)/Lanes)
}

func (s *Session) convTask(worker, i int) {
	c, w := &s.conv, &s.workers[worker]
	r0, r1, p0, p1 := c.part(i)
	a := w.scratchFor((r1-r0)*c.K + Lanes)
	c.pack(r0, r1, a)
	c.task(s, w, Ptr(unsafe.SliceData(a)), r0, r1, p0, p1)
}

// Patches writes the windows' rows to C, where something other than a layer reads them. Of the Linear only C is set.
func (s *Session) Patches(c Conv) {
	c.K = c.Channels * c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
	c.M = c.Batch * c.Windows[0] * c.Windows[1] * c.Windows[2]
	s.conv = c
	if c.M*c.K == 0 {
		return
	}
	s.enter()
	n := &s.conv
	n.rows = max(1, patchBytes/8/(c.K*4))
	s.parallel(n.blocks(), s.task.patches)
	s.leave(0)
}

func (s *Session) patchesTask(worker, i int) {
	c := &s.conv
	r0, r1 := i*c.rows, min((i+1)*c.rows, c.M)
	size := (r1 - r0) * c.K
	rows := s.workers[worker].scratchFor(size + Lanes) // a row's end is written in whole vectors
	c.pack(r0, r1, rows)
	copy(unsafe.Slice((*float32)(At(c.C, r0*c.K*4)), size), rows)
}

// convOnDevice makes all the rows in memory of the device, where the layer is a Linear, or one for each group; false if the device does not
// take it.
func (s *Session) convOnDevice(c *Conv) bool {
	rows, ok := s.windowsOnDevice(c, 0)
	if !ok {
		return false
	}
	lin := c.Linear
	lin.A = rows
	if c.Groups == 1 {
		return s.dev.Linear(&lin)
	}
	lin.N /= c.Groups
	lin.Row, lin.Out = c.K*c.Groups*4, Lines{Count: c.M, Row: c.N * 4, Of: 1}
	for g := range c.Groups {
		first := g * lin.N * 4
		lin.A, lin.C, lin.Bias = At(rows, g*c.K*4), At(c.C, first), after(c.Bias, first)
		lin.W = At(c.W, g*CeilDiv(lin.N, Lanes)*c.PanelStep())
		if !s.dev.Linear(&lin) {
			return false
		}
	}
	return true
}

// after is At, of nothing too.
func after(p Ptr, bytes int) Ptr {
	if p == nil {
		return nil
	}
	return At(p, bytes)
}

// windowsOnDevice makes all the rows of a convolution in memory of the device, those of each group together, with some bytes behind them; false
// if the device does not.
func (s *Session) windowsOnDevice(c *Conv, behind int) (Ptr, bool) {
	if c.In[0] != 1 || c.Kernel[0] != 1 {
		return nil, false // the channels count as an axis, of which there are three
	}
	groups := max(1, c.Groups)
	each := c.Channels / groups
	room, err := s.room(c.M*c.K*groups*4 + behind)
	if err != nil {
		return nil, false
	}
	col := Im2Col{Batch: c.Batch, Channels: 1, In: [3]int{c.In[1], c.In[2], c.Channels}, Windows: [3]int{c.Windows[1], c.Windows[2], groups},
		Kernel: [3]int{c.Kernel[1], c.Kernel[2], each}, Stride: [3]int{c.Stride[1], c.Stride[2], each}, Dil: [3]int{c.Dil[1], c.Dil[2], 1},
		Pad: [3]int{c.Pad[1], c.Pad[2], 0}, X: c.X, Out: room}
	return room, s.dev.Im2Col(&col)
}

// pack writes the rows of windows r0 … r1. Behind the last one, out has room for a vector.
func (c *Conv) pack(r0, r1 int, out []float32) {
	w2, i := r0%c.Windows[2], r0/c.Windows[2]
	w1, i := i%c.Windows[1], i/c.Windows[1]
	w0, b := i%c.Windows[0], i/c.Windows[0]
	for r := r0; r < r1; {
		n := c.short(b, w0, w1, w2, min(r1-r, c.Windows[2]-w2), out[(r-r0)*c.K:])
		if n == 0 {
			c.window(b, w0, w1, w2, out[(r-r0)*c.K:])
			n = 1
		}
		r += n
		if w2 += n; w2 < c.Windows[2] {
			continue
		}
		if w2, w1 = 0, w1+1; w1 < c.Windows[1] {
			continue
		}
		if w1, w0 = 0, w0+1; w0 == c.Windows[0] {
			w0, b = 0, b+1
		}
	}
}

// windowLines is the most lines of a window that short takes.
const windowLines = 64

// edge is what lies around an image, for lines that are copied in whole vectors.
type edge [shortLine + Lanes]float32

var nothing edge

// short writes the rows of up to count windows beside each other, if their lines are short and inside the image; it gives how many. It may
// write up to a vector of anything behind them.
func (c *Conv) short(b, w0, w1, w2, count int, out []float32) int {
	n, lines := c.Channels*c.Kernel[2], c.Kernel[0]*c.Kernel[1]
	p2 := w2*c.Stride[2] - c.Pad[2]
	if n >= shortLine || lines > windowLines || c.Dil[2] != 1 || p2 < 0 {
		return 0
	}
	// The last line of the last window is copied with a vector behind it.
	count = min(count, FloorDiv(c.In[2]-c.Kernel[2]-p2, c.Stride[2])+1)
	left := c.Batch*c.In[0]*c.In[1]*c.In[2]*c.Channels - n - Lanes
	var from [windowLines]Ptr
	var step [windowLines]int
	around := &nothing
	if c.edge != nil {
		around = c.edge
	}
	for l := range lines {
		from[l] = Ptr(around)
		p0 := w0*c.Stride[0] - c.Pad[0] + l/c.Kernel[1]*c.Dil[0]
		p1 := w1*c.Stride[1] - c.Pad[1] + l%c.Kernel[1]*c.Dil[1]
		if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
			continue
		}
		at := (((b*c.In[0]+p0)*c.In[1]+p1)*c.In[2] + p2) * c.Channels
		from[l], step[l] = At(c.X, at*4), c.Stride[2]*c.Channels*4
		count = min(count, FloorDiv(left-at, c.Stride[2]*c.Channels)+1)
	}
	if count <= 0 {
		return 0
	}
	to := Ptr(unsafe.SliceData(out))
	for w := range count {
		for l, p := range from[:lines] {
			p = At(p, w*step[l])
			for i := 0; i < n*4; i += Lanes * 4 {
				copyLanes(At(to, i), At(p, i))
			}
			to = At(to, n*4)
		}
	}
	return count
}

// shortLine is how many elements are cheaper to copy in whole vectors than by a call.
const shortLine = 64

// window writes the row of one window.
func (c *Conv) window(b, w0, w1, w2 int, out []float32) {
	n, at := c.Channels*c.Kernel[2], 0
	p2 := w2*c.Stride[2] - c.Pad[2]
	for k0 := range c.Kernel[0] {
		p0 := w0*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
		for k1 := range c.Kernel[1] {
			p1 := w1*c.Stride[1] - c.Pad[1] + k1*c.Dil[1]
			if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
				c.blank(out[at : at+n])
			} else {
				c.line(((b*c.In[0]+p0)*c.In[1]+p1)*c.In[2], p2, out[at:at+n])
			}
			at += n
		}
	}
}

// line copies the places of one line of a window, which starts at p2 of the line of the input at place base.
func (c *Conv) line(base, p2 int, out []float32) {
	n := c.Channels
	x := unsafe.Slice((*float32)(At(c.X, base*n*4)), c.In[2]*n)
	if c.Dil[2] == 1 && p2 >= 0 && p2+c.Kernel[2] <= c.In[2] {
		copy(out, x[p2*n:])
		return
	}
	for k := range c.Kernel[2] {
		p := p2 + k*c.Dil[2]
		if p < 0 || p >= c.In[2] {
			c.blank(out[k*n : (k+1)*n])
			continue
		}
		copy(out[k*n:(k+1)*n], x[p*n:(p+1)*n])
	}
}

// blank writes what lies around the image.
func (c *Conv) blank(out []float32) {
	if c.edge == nil {
		clear(out)
		return
	}
	for len(out) > 0 {
		out = out[copy(out, c.edge[:]):]
	}
}
