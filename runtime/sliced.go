package rt

import "unsafe"

// sliceFloats is about how much of one group's channels of an image a task copies out at a time, to stay in the second-level cache.
const sliceFloats = 24 << 10

// slicing is how a task copies out the channels of a group, or of an image that has few, with what lies around it, so that a line of a window is a
// stretch of memory: tiles read the windows there, which begin a few places after each other. Where the places of a window lie apart, so do
// those that are copied beside each other, and what is between them is a phase of its own.
type slicing struct {
	lines, windows, each int // lines of the result that a task does, windows of these, and groups
	phases, span         int // of a copied line, and places of a phase
}

// sliced reports whether a convolution is done so.
func (c *Conv) sliced() bool {
	if c.Groups > 1 {
		return true
	}
	lines, reach := c.Kernel[0]*c.Kernel[1], (c.Kernel[2]-1)*c.Dil[2]+1
	return lines*c.Kernel[2] > 1 && c.apart() && c.N*c.K*4 <= weightBytes/2 && c.plain() &&
		c.Kernel[0]*c.sliceLines(1)*reach <= sliceFloats/c.Channels
}

// apart reports whether a line of a window is one stretch of a phase.
func (c *Conv) apart() bool { return c.Dil[2] == 1 || c.Stride[2] == 1 }

// shareSlices says what a task does.
func (c *Conv) shareSlices(threads int) {
	c.slicing = slicing{lines: 1, windows: c.Windows[2], each: c.Groups, phases: 1}
	if c.apart() {
		c.slicing.phases = c.Dil[2]
	}
	parts := CeilDiv(c.Windows[2], c.sliceWindows())
	if c.Batch*c.Windows[0]*c.Windows[1] == 1 && threads > 1 {
		parts = max(parts, 2*threads) // of the only line
	}
	c.slicing.windows = CeilDiv(c.Windows[2], parts)
	c.slicing.span = c.phaseSpan()
	for c.slicing.lines < c.Windows[1] && c.slicing.windows == c.Windows[2] && c.sliceSize(c.slicing.lines+1) <= sliceFloats {
		c.slicing.lines++
	}
	if threads == 1 {
		return
	}
	others := c.Batch * c.Windows[0]
	c.slicing.lines = min(c.slicing.lines, max(1, c.Windows[1]*others/(2*threads)))
	if tasks := others * CeilDiv(c.Windows[1], c.slicing.lines) * CeilDiv(c.Windows[2], c.slicing.windows); tasks < 2*threads {
		c.slicing.each = max(1, c.Groups*tasks/(2*threads))
	}
}

// sliceWindows is about how many windows of a line see as much as a task may copy at once.
func (c *Conv) sliceWindows() int {
	places := 4 * sliceFloats / (c.Kernel[0] * c.sliceLines(1) * (c.Channels / c.Groups))
	return max(1, (places-(c.Kernel[2]-1)*c.Dil[2]-1)/c.Stride[2])
}

// phaseSpan is how many places of a phase the windows of a line see, a multiple of their stride.
func (c *Conv) phaseSpan() int {
	places := (c.slicing.windows-1)*c.Stride[2] + (c.Kernel[2]-1)*c.Dil[2] + 1
	return CeilDiv(CeilDiv(places, c.slicing.phases), c.Stride[2]) * c.Stride[2]
}

// sliceLines is how many lines of the image some lines of windows reach over.
func (c *Conv) sliceLines(lines int) int { return (lines-1)*c.Stride[1] + (c.Kernel[1]-1)*c.Dil[1] + 1 }

// sliceSize is the floats of a group's channels that some lines of windows see.
func (c *Conv) sliceSize(lines int) int {
	return c.Kernel[0] * c.sliceLines(lines) * c.slicing.phases * c.slicing.span * (c.Channels / c.Groups)
}

func (s *Session) slicedTask(worker, i int) {
	c, w := &s.conv, &s.workers[worker]
	parts, across, blocks := CeilDiv(c.Groups, c.slicing.each), CeilDiv(c.Windows[2], c.slicing.windows), CeilDiv(c.Windows[1], c.slicing.lines)
	first, i := i%parts*c.slicing.each, i/parts
	x, i := i%across*c.slicing.windows, i/across
	y, i := i%blocks*c.slicing.lines, i/blocks
	lines, windows, last := min(c.slicing.lines, c.Windows[1]-y), min(c.slicing.windows, c.Windows[2]-x), min(first+c.slicing.each, c.Groups)
	w.runs = c.lineRuns(w.runs[:0], lines, windows, s.k.Gemm.Rows)
	room := w.scratchFor(c.sliceSize(lines))
	row := (i*c.Windows[1]+y)*c.Windows[2] + x
	for g := first; g < last; g++ {
		c.slice(i/c.Windows[0], i%c.Windows[0], y, x, g, c.sliceLines(lines), room)
		c.products(s, w, Ptr(unsafe.SliceData(room)), lines, row, g)
	}
	width := c.N / c.Groups
	s.activate(&c.Linear, w, row, row+(lines-1)*c.Windows[2]+windows, first*width, last*width)
}

// lineRuns appends some windows of some lines as rows of the slice, which are Stride[2] places apart: of equal heights within a phase.
func (c *Conv) lineRuns(runs []run, lines, windows, most int) []run {
	for y := range lines {
		for f := range min(c.slicing.phases, windows) {
			row, step := (y*c.Windows[2]+f)*c.N*4, c.slicing.phases*c.N*4
			first := run{a: (y*c.Stride[1]*c.slicing.phases + f) * c.slicing.span / c.Stride[2], c: row, res: row}
			runs = evenRuns(runs, first, CeilDiv(windows-f, c.slicing.phases), most, run{a: 1, c: step, res: step})
		}
	}
	return runs
}

// slice copies the channels of group g that the windows from line y and place x on see, of image b and planes from w0's on.
func (c *Conv) slice(b, w0, y, x, g, lines int, out []float32) {
	n := c.Channels / c.Groups
	for k0 := range c.Kernel[0] {
		p0 := w0*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
		for l := range lines {
			p1 := y*c.Stride[1] - c.Pad[1] + l
			for f := range c.slicing.phases {
				line := out[:c.slicing.span*n]
				out = out[c.slicing.span*n:]
				if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
					clear(line)
					continue
				}
				c.phase(((b*c.In[0]+p0)*c.In[1]+p1)*c.In[2], x*c.Stride[2]-c.Pad[2]+f, g*n, line)
			}
		}
	}
}

// phase copies a phase of a line of the image, which begins at place base: from place p2 of the line on, the channels from first on.
func (c *Conv) phase(base, p2, first int, line []float32) {
	n := c.Channels / c.Groups
	before := min(max(0, CeilDiv(-p2, c.slicing.phases)), c.slicing.span)
	end := max(before, min(CeilDiv(c.In[2]-p2, c.slicing.phases), c.slicing.span))
	clear(line[:before*n])
	clear(line[end*n:])
	if end == before {
		return
	}
	from := At(c.X, ((base+p2+before*c.slicing.phases)*c.Channels+first)*4)
	pick(line[before*n:end*n], from, n, c.slicing.phases*c.Channels*4)
}

// pick copies stretches of n floats, step bytes apart.
func pick(to []float32, from Ptr, n, step int) {
	if step == n*4 {
		copy(to, unsafe.Slice((*float32)(from), len(to)))
		return
	}
	for r := range len(to) / n {
		line := to[r*n : (r+1)*n]
		if n%4 != 0 {
			copy(line, unsafe.Slice((*float32)(At(from, r*step)), n))
			continue
		}
		for i := 0; i < n; i += 4 {
			copyFour(Ptr(&line[i]), At(from, r*step+i*4))
		}
	}
}

// products does a group's columns of some windows, the first of which is that row of the result: a tile takes the lines of a window one after
// the other or, where its places lie apart in the slice, a chain goes on from place to place.
func (c *Conv) products(s *Session, w *worker, slice Ptr, lines, row, g int) {
	n, width := c.Channels/c.Groups, c.N/c.Groups
	together, most := c.Kernel[2], max(1, maxDepth/(c.Kernel[2]*n))
	if !c.apart() {
		together, most = 1, 1
	}
	panels, line := CeilDiv(width, Lanes), c.slicing.phases*c.slicing.span*n*4
	t := Tile{K: together * n, LDA: c.Stride[2] * n * 4, BStep: c.K * Lanes * 4, LDC: c.slicing.phases * c.N * 4,
		C: At(c.C, (row*c.N+g*width)*4), Skip: c.Dil[1]*line - together*n*4}
	taps := c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
	for tap := 0; tap < taps; tap += together * (t.More + 1) {
		k0, k1, k2 := tap/c.Kernel[2]/c.Kernel[1], tap/c.Kernel[2]%c.Kernel[1], tap%c.Kernel[2]
		t.More = min(most, c.Kernel[1]-k1) - 1
		t.B = At(c.W, (g*panels*c.K+tap*n)*Lanes*4)
		t.A = At(slice, (k0*c.sliceLines(lines)+k1*c.Dil[1])*line+k2*c.Dil[2]*n*4)
		if tap+together*(t.More+1) == taps {
			c.epilogue(&t, row)
			t.Bias, t.Res, t.LDR = after(t.Bias, g*width*4), after(t.Res, g*width*4), t.LDC
		}
		s.k.Gemm.runs(w, &t, width, w.runs, 0, panels)
		t.Acc = 1
	}
}
