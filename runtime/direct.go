package rt

import "unsafe"

// direct reports whether tiles read the windows' places in the image, one after the other: where a place has many channels that is as fast,
// nothing is copied, and what lies outside the image is not multiplied.
func (c *Conv) direct() bool {
	return c.Groups == 1 && c.Channels >= directChannels && c.Kernel[0]*c.Kernel[1]*c.Kernel[2] > 1 && c.plain()
}

// plain reports whether weights are f32 and rows of the result follow each other.
func (c *Conv) plain() bool { return c.Coded.Bits == 0 && c.Out.Count == 0 }

// directChannels is from how many channels on a chain of a place's is long enough for a tile of its own; imageBytes is about how much of the
// image a task reads for each group of panels, and manyBytes where the weights do not stay in cache.
const (
	directChannels = 64
	imageBytes     = 512 << 10
	manyBytes      = 4 << 20
)

// shareDirect says how many lines of the result a task does, of all images together, and how many panels.
func (c *Conv) shareDirect(np, threads int) {
	most := imageBytes
	if c.N*c.K*4 > weightBytes {
		most = manyBytes
	}
	all, panels := c.directLines(), CeilDiv(c.N, Lanes)
	c.slicing.lines = min(all, max(1, most/(c.In[2]*c.Stride[1]*c.Channels*4)))
	c.width = panels
	if threads == 1 {
		return
	}
	if tasks := CeilDiv(all, c.slicing.lines); tasks < 2*threads && panels >= 2*np {
		c.width = max(np, CeilDiv(panels, CeilDiv(2*threads, tasks))/np*np)
	}
	if tasks := CeilDiv(all, c.slicing.lines) * CeilDiv(panels, c.width); tasks < 2*threads {
		c.slicing.lines = max(1, CeilDiv(c.slicing.lines*tasks, 2*threads))
	}
}

// directLines is the number of lines of the result.
func (c *Conv) directLines() int { return c.Batch * c.Windows[0] * c.Windows[1] }

func (s *Session) directTask(worker, i int) {
	c, w, g := &s.conv, &s.workers[worker], &s.k.Gemm
	panels := CeilDiv(c.N, Lanes)
	parts := CeilDiv(panels, c.width)
	p0, first := i%parts*c.width, i/parts*c.slicing.lines
	p1, last := min(p0+c.width, panels), min(first+c.slicing.lines, c.directLines())
	r0, r1 := first*c.Windows[2], last*c.Windows[2]
	n0, n1 := p0*Lanes, min(p1*Lanes, c.N)
	t := Tile{K: c.Channels, A: c.X, LDA: c.Stride[2] * c.Channels * 4, BStep: c.K * Lanes * 4, C: c.C, LDC: c.N * 4}
	c.clearOutside(first, last, n0, n1)
	for p, np := p0, 0; p < p1; p += np {
		np = g.group(p1 - p)
		t.Acc, t.Bias, t.Res, t.Relu = 0, nil, nil, 0
		taps := c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
		for tap := range taps {
			t.B = At(c.W, tap*t.K*Lanes*4)
			if tap == taps-1 {
				c.epilogue(&t, 0)
				c.endOutside(g, w, t, first, last, p, np)
			}
			w.runs = c.tapRuns(w.runs[:0], first, last, tap, g.Rows, true)
			g.runs(w, &t, c.N, w.runs, p, p+np)
			t.Acc = 1
		}
	}
	s.activate(&c.Linear, w, r0, r1, n0, n1)
}

// clearOutside makes zeros of the chains that do not begin with the windows' first place, as it lies outside the image.
func (c *Conv) clearOutside(first, last, n0, n1 int) {
	for line := first; line < last; line++ {
		x0, x1, _ := c.inside(line, 0)
		for x := range c.Windows[2] {
			if x < x0 || x >= x1 {
				clear(unsafe.Slice((*float32)(At(c.C, ((line*c.Windows[2]+x)*c.N+n0)*4)), n1-n0))
			}
		}
	}
}

// endOutside ends the chains that do not end with the windows' last place.
func (c *Conv) endOutside(g *Gemm, w *worker, t Tile, first, last, p, np int) {
	t.K = 0
	if w.runs = c.tapRuns(w.runs[:0], first, last, c.Kernel[0]*c.Kernel[1]*c.Kernel[2]-1, g.Rows, false); len(w.runs) > 0 {
		g.runs(w, &t, c.N, w.runs, p, p+np)
	}
}

// inside is which windows of a line of the result have a place inside the image, and where the first of these is, in bytes.
func (c *Conv) inside(line, tap int) (x0, x1, at int) {
	k0, k1, k2 := tap/c.Kernel[2]/c.Kernel[1], tap/c.Kernel[2]%c.Kernel[1], tap%c.Kernel[2]
	plane := line / c.Windows[1]
	p0 := plane%c.Windows[0]*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
	p1 := line%c.Windows[1]*c.Stride[1] - c.Pad[1] + k1*c.Dil[1]
	if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
		return 0, 0, 0
	}
	left := c.Pad[2] - k2*c.Dil[2]
	x0 = min(max(0, CeilDiv(left, c.Stride[2])), c.Windows[2])
	x1 = max(x0, min(FloorDiv(c.In[2]-1+left, c.Stride[2])+1, c.Windows[2]))
	return x0, x1, (((plane/c.Windows[0]*c.In[0]+p0)*c.In[1]+p1)*c.In[2] + x0*c.Stride[2] - left) * c.Channels * 4
}

// tapRuns appends the windows of some lines that have a place inside the image, or those that have it outside.
func (c *Conv) tapRuns(runs []run, first, last, tap, most int, within bool) []run {
	for line := first; line < last; line++ {
		x0, x1, at := c.inside(line, tap)
		if within {
			runs = c.windowRuns(runs, line, x0, x1, at, most)
			continue
		}
		runs = c.windowRuns(runs, line, 0, x0, 0, most)
		runs = c.windowRuns(runs, line, x1, c.Windows[2], 0, most)
	}
	return runs
}

// windowRuns appends windows x0 … x1 of a line, of which A begins at so many bytes, as runs of equal heights.
func (c *Conv) windowRuns(runs []run, line, x0, x1, at, most int) []run {
	step := run{at: c.Stride[2] * c.Channels * 4, c: c.N * 4, res: c.N * 4}
	row := (line*c.Windows[2] + x0) * c.N * 4
	return evenRuns(runs, run{at: at, c: row, res: row}, x1-x0, most, step)
}
