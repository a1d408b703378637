package rt

import "unsafe"

// Conv is a Linear on the windows of X [batch, spatial…, channels], one row a window: each row of A is the window's places in order, all
// channels of a place together, zeros outside. The rows are made block by block in a worker's own memory.
type Conv struct {
	Linear
	Batch, Channels                  int
	In, Windows, Kernel, Stride, Dil [3]int
	Pad                              [3]int
	X                                Ptr
}

// patchBytes is about how much of the windows' rows a task makes.
const patchBytes = 384 << 10

// Conv runs the layer.
func (s *Session) Conv(c Conv) {
	c.K = c.Channels * c.Kernel[0] * c.Kernel[1] * c.Kernel[2]
	c.M = c.Batch * c.Windows[0] * c.Windows[1] * c.Windows[2]
	s.conv = c
	if c.M == 0 {
		return
	}
	s.enter()
	s.conv.rows = blockRows(c.M, c.K, s.k.Gemm.Rows, s.threads(), patchBytes)
	s.parallel((c.M+s.conv.rows-1)/s.conv.rows, s.task.conv)
	s.leave(2 * c.M * c.N * c.K)
}

// blockRows cuts m rows of depth k into blocks of about that many bytes, several a thread, of whole tiles.
func blockRows(m, k, tile, threads, bytes int) int {
	rows := max(bytes/(max(k, 1)*4), tile)
	if threads > 1 {
		rows = min(rows, (m+2*threads-1)/(2*threads))
	}
	return min(m, (rows+tile-1)/tile*tile)
}

func (s *Session) convTask(worker, i int) {
	c, w, g := &s.conv, &s.workers[worker], &s.k.Gemm
	r0 := i * c.rows
	n := min(c.rows, c.M-r0)
	a := w.scratchFor(n * c.K)
	for r := range n {
		c.window(r0+r, a[r*c.K:(r+1)*c.K])
	}
	t := Tile{K: c.K, A: Ptr(unsafe.SliceData(a)), LDA: c.K * 4, B: c.W, BStep: c.K * Lanes * 4, C: At(c.C, r0*c.N*4), LDC: c.N * 4,
		Bias: c.Bias, LDR: c.N * 4}
	if c.Res != nil && c.Act < 0 {
		t.Res = At(c.Res, r0*c.N*4)
	}
	g.block(w, &t, c.N, 0, n, 0, (c.N+Lanes-1)/Lanes)
	s.activate(&c.Linear, w, r0, r0+n, 0, c.N)
}

// window writes the row of window i.
func (c *Conv) window(i int, out []float32) {
	w2 := i % c.Windows[2]
	i /= c.Windows[2]
	w1 := i % c.Windows[1]
	i /= c.Windows[1]
	w0, b := i%c.Windows[0], i/c.Windows[0]
	n, at := c.Channels, 0
	for k0 := range c.Kernel[0] {
		p0 := w0*c.Stride[0] - c.Pad[0] + k0*c.Dil[0]
		for k1 := range c.Kernel[1] {
			p1 := w1*c.Stride[1] - c.Pad[1] + k1*c.Dil[1]
			line := out[at : at+c.Kernel[2]*n]
			at += len(line)
			if p0 < 0 || p0 >= c.In[0] || p1 < 0 || p1 >= c.In[1] {
				clear(line)
				continue
			}
			c.line(((b*c.In[0]+p0)*c.In[1]+p1)*c.In[2], w2*c.Stride[2]-c.Pad[2], line)
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
			clear(out[k*n : (k+1)*n])
			continue
		}
		copy(out[k*n:(k+1)*n], x[p*n:(p+1)*n])
	}
}
