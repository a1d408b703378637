package rt

import "unsafe"

// sliceFloats is about how much of one group's channels of an image a task copies out at a time, to stay in the second-level cache;
// shortestLine is the least of a window's line that is worth it without groups.
const (
	sliceFloats  = 24 << 10
	shortestLine = 48
)

// sliced reports whether the channels of a group, or of an image with few, are copied out, with what lies around the image, so that a line of a
// window is a stretch of memory and the windows of a line of the result are that far apart: tiles read them there.
func (c *Conv) sliced() bool {
	if c.Groups > 1 {
		return true
	}
	return c.Channels*c.Kernel[2] >= shortestLine && c.Kernel[0]*c.Kernel[1] > 1 && c.Dil[2] == 1 && c.N*c.K*4 <= weightBytes/2 && c.plain()
}

// shareSlices says how many lines of the result and how many groups a task does.
func (c *Conv) shareSlices(threads int) {
	c.span = CeilDiv((c.Windows[2]-1)*c.Stride[2]+(c.Kernel[2]-1)*c.Dil[2]+1, c.Stride[2]) * c.Stride[2]
	c.lines, c.each = 1, c.Groups
	for c.lines < c.Windows[1] && c.sliceSize(c.lines+1) <= sliceFloats {
		c.lines++
	}
	if threads == 1 {
		return
	}
	others := c.Batch * c.Windows[0]
	c.lines = min(c.lines, max(1, c.Windows[1]*others/(2*threads)))
	if tasks := others * CeilDiv(c.Windows[1], c.lines); tasks < 2*threads {
		c.each = max(1, c.Groups*tasks/(2*threads))
	}
}

// sliceLines is how many lines of the image some lines of windows reach over.
func (c *Conv) sliceLines(lines int) int { return (lines-1)*c.Stride[1] + (c.Kernel[1]-1)*c.Dil[1] + 1 }

// sliceSize is the floats of a group's channels that some lines of windows see.
func (c *Conv) sliceSize(lines int) int {
	return c.Kernel[0] * c.sliceLines(lines) * c.span * (c.Channels / c.Groups)
}

func (s *Session) slicedTask(worker, i int) {
	c, w := &s.conv, &s.workers[worker]
	parts, blocks := CeilDiv(c.Groups, c.each), CeilDiv(c.Windows[1], c.lines)
	first, i := i%parts*c.each, i/parts
	y, i := i%blocks*c.lines, i/blocks
	lines, last := min(c.lines, c.Windows[1]-y), min(first+c.each, c.Groups)
	w.runs = c.lineRuns(w.runs[:0], lines, s.k.Gemm.Rows)
	room := w.scratchFor(c.sliceSize(lines))
	row := (i*c.Windows[1] + y) * c.Windows[2]
	for g := first; g < last; g++ {
		c.slice(i/c.Windows[0], i%c.Windows[0], y, g, c.sliceLines(lines), room)
		c.products(s, w, Ptr(unsafe.SliceData(room)), lines, row, g)
	}
	width := c.N / c.Groups
	s.activate(&c.Linear, w, row, row+lines*c.Windows[2], first*width, last*width)
}

// lineRuns appends the windows of some lines as rows of the slice, which are Stride[2] places apart: of equal heights within a line.
func (c *Conv) lineRuns(runs []run, lines, most int) []run {
	n, h, more := heights(c.Windows[2], most)
	for y := range lines {
		row, at := y*c.Windows[2]*c.N*4, y*c.Stride[1]*c.span/c.Stride[2]
		for i := range n {
			runs = append(runs, run{a: at, c: row, res: row, n: h + b2i(i < more)})
			at, row = at+h+b2i(i < more), row+(h+b2i(i < more))*c.N*4
		}
	}
	return runs
}

// slice copies the channels of group g that the windows from line y on see, of image b and planes from w0's on.
func (c *Conv) slice(b, w0, y, g, lines int, out []float32) {
	n := c.Channels / c.Groups
	inside := max(0, min(c.In[2], c.span-c.Pad[2]))
	for k0 := range c.Kernel[0] {
		p0 := w0*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
		for l := range lines {
			p1 := y*c.Stride[1] - c.Pad[1] + l
			line := out[:c.span*n]
			out = out[c.span*n:]
			if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
				clear(line)
				continue
			}
			before := min(c.Pad[2], c.span) * n
			clear(line[:before])
			from := ((b*c.In[0]+p0)*c.In[1]+p1)*c.In[2]*c.Channels + g*n
			pick(line[before:before+inside*n], At(c.X, from*4), n, c.Channels*4)
			clear(line[before+inside*n:])
		}
	}
}

// pick copies stretches of n floats, step bytes apart.
func pick(to []float32, from Ptr, n, step int) {
	if n%4 != 0 {
		for ; len(to) > 0; to = to[n:] {
			copy(to, unsafe.Slice((*float32)(from), n))
			from = At(from, step)
		}
		return
	}
	for at := 0; at < len(to); at += n {
		for i := 0; i < n; i += 4 {
			copyFour(Ptr(&to[at+i]), At(from, i*4))
		}
		from = At(from, step)
	}
}

// products does a group's columns of some lines of the result, the first of which begins with that row: a chain goes on from one line of
// the window to the next or, where its places lie apart, from place to place.
func (c *Conv) products(s *Session, w *worker, slice Ptr, lines, row, g int) {
	n, width := c.Channels/c.Groups, c.N/c.Groups
	together := c.Kernel[2]
	if c.Dil[2] != 1 {
		together = 1
	}
	panels := CeilDiv(width, Lanes)
	t := Tile{K: together * n, LDA: c.Stride[2] * n * 4, BStep: c.K * Lanes * 4, LDC: c.N * 4,
		B: At(c.W, g*panels*c.K*Lanes*4), C: At(c.C, (row*c.N+g*width)*4)}
	for tap := 0; tap < c.Kernel[0]*c.Kernel[1]*c.Kernel[2]; tap += together {
		k0, k1, k2 := tap/c.Kernel[2]/c.Kernel[1], tap/c.Kernel[2]%c.Kernel[1], tap%c.Kernel[2]
		t.A = At(slice, ((k0*c.sliceLines(lines)+k1*c.Dil[1])*c.span+k2*c.Dil[2])*n*4)
		if tap+together == c.Kernel[0]*c.Kernel[1]*c.Kernel[2] {
			c.epilogue(&t, row)
			t.Bias, t.Res = after(t.Bias, g*width*4), after(t.Res, g*width*4)
		}
		s.k.Gemm.runs(w, &t, width, w.runs, 0, panels)
		t.Acc, t.B = 1, At(t.B, t.K*Lanes*4)
	}
}
