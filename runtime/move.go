package rt

import "unsafe"

// Move copies elements of Size bytes from one strided place to another; strides are in bytes.
type Move struct {
	Rank     int
	Size     int
	Dims     [maxAxes]int
	From, To Ptr
	SF, ST   [maxAxes]int

	outer, each int
	three       bool   // lines are moved by threes
	parts       [2]int // of a task's rows and columns, where rows become columns
}

// Move runs the copy.
func (s *Session) Move(m Move) {
	s.move = m
	n := &s.move
	n.join()
	if s.dev != nil && s.dev.Move(n) {
		return
	}
	s.enter()
	s.copies()
	s.leave(0)
}

// copies does the move that the session holds.
func (s *Session) copies() {
	n := &s.move
	if n.turns() {
		s.parallel(n.outer*n.parts[0]*n.parts[1], s.task.turn)
		return
	}
	n.longLines()
	lines := n.Rank - 1
	if n.three = n.threes(); n.three {
		lines--
	}
	n.outer = 1
	for a := range lines {
		n.outer *= n.Dims[a]
	}
	n.each = max(1, rowTask/max(n.Dims[n.Rank-1], 1))
	if n.outer*n.Dims[n.Rank-1] > 0 {
		s.parallel((n.outer+n.each-1)/n.each, s.task.move)
	}
}

// Put writes rows into a cache: each entry of the first axis, that of the batch, from a place of its own on.
type Put struct {
	Rows  Move // as if each began at place 0
	Start Ptr  // the places, of 8 bytes if Wide, else of 4
	Wide  bool
	Step  int // bytes from one place to the next
	Count int // of places that are written
	Size  int // of places that there are
}

// Put runs the copy; a place outside the cache is the run's error.
func (s *Session) Put(p Put) {
	s.enter()
	for i := range p.Rows.Dims[0] {
		at := integerAt(p.Start, i, p.Wide)
		if at < 0 || at > p.Size-p.Count {
			s.fail("rows %d to %d are outside the cache of size %d", at, at+p.Count-1, p.Size)
			return
		}
		s.move = p.Rows
		m := &s.move
		m.Dims[0], m.From, m.To = 1, At(p.Rows.From, i*m.SF[0]), At(p.Rows.To, i*m.ST[0]+at*p.Step)
		m.join()
		s.copies()
	}
	s.leave(0)
}

func (n *Move) join() {
	for a := n.Rank - 2; a >= 0; a-- {
		if n.SF[a] != n.SF[a+1]*n.Dims[a+1] || n.ST[a] != n.ST[a+1]*n.Dims[a+1] {
			continue
		}
		n.Dims[a+1] *= n.Dims[a]
		copy(n.Dims[a:], n.Dims[a+1:n.Rank])
		copy(n.SF[a:], n.SF[a+1:n.Rank])
		copy(n.ST[a:], n.ST[a+1:n.Rank])
		n.Rank--
	}
}

// exchange walks axis a where b is and the other way round.
func (n *Move) exchange(a, b int) {
	for _, v := range []*[maxAxes]int{&n.Dims, &n.SF, &n.ST} {
		v[a], v[b] = v[b], v[a]
	}
}

// turnRows and turnColumns are a task's share of what is transposed: stretches of the one follow each other in From, of the other in To.
const (
	turnRows    = 128
	turnColumns = 256
)

// turns reports whether f32, or integers as large, are transposed, and makes the axis that follows itself in From the last but one and the one that
// does in To the last.
func (n *Move) turns() bool {
	row, column := -1, -1
	for a := range n.Rank {
		if n.Dims[a] < 4 {
			continue
		}
		if n.SF[a] == n.Size {
			row = a
		}
		if n.ST[a] == n.Size {
			column = a
		}
	}
	if n.Size != 4 || row < 0 || column < 0 || row == column {
		return false
	}
	last := n.Rank - 1
	n.exchange(column, last)
	if row == last {
		row = column
	}
	n.exchange(row, last-1)
	n.outer = 1
	for a := range last - 1 {
		n.outer *= n.Dims[a]
	}
	n.parts = [2]int{CeilDiv(n.Dims[last-1], turnRows), CeilDiv(n.Dims[last], turnColumns)}
	return true
}

// turnTask transposes some rows and columns: sixteen columns at a time become a panel.
func (s *Session) turnTask(worker, i int) {
	n, w, last := &s.move, &s.workers[worker], s.move.Rank-1
	c0, i := i%n.parts[1]*turnColumns, i/n.parts[1]
	r0, i := i%n.parts[0]*turnRows, i/n.parts[0]
	rows, end := min(turnRows, n.Dims[last-1]-r0), min(c0+turnColumns, n.Dims[last])
	from, to := At(n.From, r0*n.Size), At(n.To, r0*n.ST[last-1])
	for a := last - 2; a >= 0; a-- {
		from, to = At(from, i%n.Dims[a]*n.SF[a]), At(to, i%n.Dims[a]*n.ST[a])
		i /= n.Dims[a]
	}
	panel := w.scratchFor(rows * Lanes)
	for c := c0; c < end; c += Lanes {
		count := min(Lanes, end-c)
		for j := range count {
			w.panel.From[j] = At(from, (c+j)*n.SF[last])
		}
		s.k.Gemm.columns(w, panel, count)
		unturn(panel, At(to, c*n.Size), count, n.ST[last-1])
	}
}

// unturn writes the first elements of each line of a panel, step bytes apart.
func unturn(panel []float32, to Ptr, count, step int) {
	for r := range len(panel) / Lanes {
		line := panel[r*Lanes : (r+1)*Lanes]
		if count == Lanes {
			copyLanes(At(to, r*step), Ptr(unsafe.SliceData(line)))
		} else {
			copy(unsafe.Slice((*float32)(At(to, r*step)), count), line)
		}
	}
}

// longLines walks the longest axis innermost where the last one is short and has gaps: three channels, say.
func (n *Move) longLines() {
	last := n.Rank - 1
	if n.Dims[last] >= 8 || n.SF[last] == n.Size && n.ST[last] == n.Size {
		return
	}
	best := last
	for a := range last {
		if n.Dims[a] > n.Dims[best] {
			best = a
		}
	}
	n.exchange(best, last)
}

// threes reports whether three long lines of four-byte elements lie interleaved on one side, as an image's colours do, and makes their axis
// the last but one.
func (n *Move) threes() bool {
	last := n.Rank - 1
	if n.Size != 4 || n.Dims[last] < 8 {
		return false
	}
	for a := range last {
		if n.Dims[a] == 3 && (n.SF[a] == 4 || n.ST[a] == 4) {
			n.exchange(a, last-1)
			return true
		}
	}
	return false
}

// threeLines moves three lines side by side; steps are those along a line and from one line to the next.
func threeLines(from, to Ptr, count int, sf, st [2]int) {
	a, b, c := from, At(from, sf[1]), At(from, 2*sf[1])
	x, y, z := to, At(to, st[1]), At(to, 2*st[1])
	for i := range count {
		f, t := i*sf[0], i*st[0]
		*(*uint32)(At(x, t)) = *(*uint32)(At(a, f))
		*(*uint32)(At(y, t)) = *(*uint32)(At(b, f))
		*(*uint32)(At(z, t)) = *(*uint32)(At(c, f))
	}
}

func (s *Session) moveTask(_, i int) {
	n := &s.move
	for r := i * n.each; r < min((i+1)*n.each, n.outer); r++ {
		from, to, k := 0, 0, r
		for a := n.Rank - 2 - b2i(n.three); a >= 0; a-- {
			c := k % n.Dims[a]
			k /= n.Dims[a]
			from += c * n.SF[a]
			to += c * n.ST[a]
		}
		n.line(At(n.From, from), At(n.To, to))
	}
}

func (n *Move) line(from, to Ptr) {
	last := n.Rank - 1
	count, sf, st := n.Dims[last], n.SF[last], n.ST[last]
	if n.three {
		threeLines(from, to, count, [2]int{sf, n.SF[last-1]}, [2]int{st, n.ST[last-1]})
		return
	}
	if sf == n.Size && st == n.Size {
		copyBytes(to, from, count*n.Size)
		return
	}
	switch n.Size {
	case 4:
		for i := range count {
			*(*uint32)(At(to, i*st)) = *(*uint32)(At(from, i*sf))
		}
	case 8:
		for i := range count {
			*(*uint64)(At(to, i*st)) = *(*uint64)(At(from, i*sf))
		}
	case 2:
		for i := range count {
			*(*uint16)(At(to, i*st)) = *(*uint16)(At(from, i*sf))
		}
	default:
		for i := range count {
			*(*byte)(At(to, i*st)) = *(*byte)(At(from, i*sf))
		}
	}
}

// Gather picks slices of Inner bytes along an axis of Axis entries, Outer times, by Count indices of 4 or 8 bytes.
type Gather struct {
	Outer, Axis, Count, Inner int
	Data, Index, Out          Ptr
	Wide                      bool // indices are int64
	Axes                      int  // for tuples (GatherND): how many axes an index names, at most maxAxes
	Dims, Stride              [maxAxes]int
}

// Gather runs the operator; an index outside its axis is the run's error.
func (s *Session) Gather(g Gather) {
	s.gat = g
	if s.dev != nil && s.dev.Gather(&s.gat) {
		return
	}
	s.enter()
	for i := range g.Count * max(g.Axes, 1) {
		axis := g.Axis
		if g.Axes > 0 {
			axis = g.Dims[i%g.Axes]
		}
		if k := integerAt(g.Index, i, g.Wide); k < -axis || k >= axis {
			s.fail("index %d is outside the axis of size %d", k, axis)
			return
		}
	}
	s.parallel((g.Count+63)/64, s.task.gat)
	s.leave(0)
}

// integerAt is element i of a list of int64 if they are wide, else of int32.
func integerAt(p Ptr, i int, wide bool) int {
	if wide {
		return int(*(*int64)(At(p, i*8)))
	}
	return int(*(*int32)(At(p, i*4)))
}

func (s *Session) gatherTask(_, i int) {
	g := &s.gat
	for c := i * 64; c < min((i+1)*64, g.Count); c++ {
		at := 0
		if g.Axes > 0 {
			for a := range g.Axes {
				k := integerAt(g.Index, c*g.Axes+a, g.Wide)
				at += (k + b2i(k < 0)*g.Dims[a]) * g.Stride[a]
			}
		} else {
			k := integerAt(g.Index, c, g.Wide)
			at = (k + b2i(k < 0)*g.Axis) * g.Inner
		}
		for o := range g.Outer {
			copyBytes(At(g.Out, (o*g.Count+c)*g.Inner), At(g.Data, o*g.Axis*g.Inner+at), g.Inner)
		}
	}
}

// Im2Col lays the windows of a convolution over up to three spatial axes out as rows.
type Im2Col struct {
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [3]int
	Pad                              [3]int
	X, Out                           Ptr
}

// Im2Col runs the operator.
func (s *Session) Im2Col(c Im2Col) {
	s.col = c
	if s.dev != nil && s.dev.Im2Col(&s.col) {
		return
	}
	s.enter()
	s.parallel(c.Batch*c.Windows[0]*c.Windows[1], s.task.col)
	s.leave(0)
}

// im2colTask writes the rows of a line of windows, one line of every window after the other.
func (s *Session) im2colTask(_, i int) {
	c := &s.col
	b, w0, w1 := i/(c.Windows[0]*c.Windows[1]), i/c.Windows[1]%c.Windows[0], i%c.Windows[1]
	size := c.Channels * c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
	out := At(c.Out, i*c.Windows[2]*size*4)
	for ch := range c.Channels {
		for k0 := range c.Kernel[0] {
			p0 := w0*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
			for k1 := range c.Kernel[1] {
				p1 := w1*c.Stride[1] - c.Pad[1] + k1*c.Dil[1]
				inside := p0 >= 0 && p0 < c.In[0] && p1 >= 0 && p1 < c.In[1]
				c.lines(At(out, ((ch*c.Kernel[0]+k0)*c.Kernel[1]+k1)*c.Kernel[2]*4), size, (((b*c.Channels+ch)*c.In[0]+p0)*c.In[1]+p1)*c.In[2], inside)
			}
		}
	}
}

// lines writes a line of every window, size floats after each other; line is where the line of the image begins that they see.
func (c *Im2Col) lines(out Ptr, size, line int, inside bool) {
	n, x0, x1 := c.Kernel[2], 0, 0 // windows x0 … x1 have it whole
	if inside && c.Dil[2] == 1 {
		x0 = min(CeilDiv(c.Pad[2], c.Stride[2]), c.Windows[2])
		x1 = max(x0, min(FloorDiv(c.In[2]-n+c.Pad[2], c.Stride[2])+1, c.Windows[2]))
	}
	for w := range c.Windows[2] {
		to, p2 := At(out, w*size*4), w*c.Stride[2]-c.Pad[2]
		if w < x0 || w >= x1 {
			c.part(unsafe.Slice((*float32)(to), n), line, p2, inside)
			continue
		}
		from, k := At(c.X, (line+p2)*4), 0
		for ; k+4 <= n; k += 4 {
			copyFour(At(to, k*4), At(from, k*4))
		}
		for ; k < n; k++ {
			*(*float32)(At(to, k*4)) = *(*float32)(At(from, k*4))
		}
	}
}

// part writes a line of a window that begins at p2 and is not wholly in the image.
func (c *Im2Col) part(to []float32, line, p2 int, inside bool) {
	for k := range to {
		to[k] = 0
		if p := p2 + k*c.Dil[2]; inside && p >= 0 && p < c.In[2] {
			to[k] = *(*float32)(At(c.X, (line+p)*4))
		}
	}
}

// Iota writes start, start+step, … as 4- or 8-byte integers or f32.
func (s *Session) Iota(to Ptr, size, start, step, n int, float bool) {
	if s.dev != nil && s.dev.Fill(to, size, start, step, n, float) {
		return
	}
	s.host()
	for i := range n {
		v := start + i*step
		switch {
		case float:
			*(*float32)(At(to, i*4)) = float32(v)
		case size == 8:
			*(*int64)(At(to, i*8)) = int64(v)
		default:
			*(*int32)(At(to, i*4)) = int32(v)
		}
	}
}

// Numbers writes integers computed from the input shapes.
func (s *Session) Numbers(to Ptr, size int, v ...int) {
	if s.dev != nil {
		if s.nums = append(s.nums[:0], v...); s.dev.Numbers(to, size, s.nums) {
			return
		}
	}
	for i, x := range v {
		s.Iota(At(to, i*size), size, x, 0, 1, false)
	}
}

// CumSum is the running sum along rows of the given width, of f32, i32 or i64.
func (s *Session) CumSum(from, to Ptr, rows, width int, e Elem, exclusive, reverse bool) {
	s.host()
	n := rows * width
	switch e {
	case F32:
		cumsum(unsafe.Slice((*float32)(from), n), unsafe.Slice((*float32)(to), n), width, exclusive, reverse)
	case I32:
		cumsum(unsafe.Slice((*int32)(from), n), unsafe.Slice((*int32)(to), n), width, exclusive, reverse)
	default:
		cumsum(unsafe.Slice((*int64)(from), n), unsafe.Slice((*int64)(to), n), width, exclusive, reverse)
	}
}

func cumsum[T float32 | int32 | int64](x, y []T, width int, exclusive, reverse bool) {
	for r := 0; r < len(x); r += width {
		var sum T
		for i := range width {
			k := r + i
			if reverse {
				k = r + width - 1 - i
			}
			next := x[k] + sum
			if exclusive {
				y[k] = sum
			} else {
				y[k] = next
			}
			sum = next
		}
	}
}
