package rt

import "unsafe"

// Winograd is a convolution of windows of 3 by 3 places, one apart, of X [batch, height, width, channels]: tiles of 4 by 4 places, two
// apart, give 2 by 2 of the result. W holds 16 matrices [channels, N] in turns within each panel. The kernels are what is done to a
// tile's columns and rows before the products (four elements for four) and after them (two for four); Bias belongs to matrix 5.
type Winograd struct {
	Linear
	Batch, Channels  int
	In, Windows, Pad [2]int
	Before, After    int
	X                Ptr

	tiles [2]int // of an image
	lines int    // of tiles that a task takes
}

// tileFloats is about how much a task's tiles take, before and after the products: they and the weights are to stay in a core's cache.
// Weights that do not fit anyhow are better read less often, once for each of fewer and larger tasks.
func (c *Winograd) tileFloats() int {
	if c.N*c.Step > weightBytes*Lanes {
		return 420 << 10
	}
	return 128 << 10
}

// Winograd runs the layer.
func (s *Session) Winograd(c Winograd) {
	c.K, c.M = c.Channels, c.Batch*c.Windows[0]*c.Windows[1]
	c.Step = 16 * c.Channels * Lanes * 4
	for a := range c.tiles {
		c.tiles[a] = (c.Windows[a] + 1) / 2
	}
	s.wino = c
	n := &s.wino
	if c.M == 0 || s.dev != nil && s.winogradOnDevice(n) {
		return
	}
	s.enter()
	all := c.Batch * c.tiles[0]
	most := max(1, c.tileFloats()/(16*(c.Channels+c.N)*c.tiles[1]))
	tasks := (all + most - 1) / most
	if t := s.threads(); tasks%t != 0 {
		tasks = min(all, tasks+t-tasks%t)
	}
	n.lines = (all + tasks - 1) / tasks
	s.parallel((all+n.lines-1)/n.lines, s.task.wino)
	s.leave(2 * 16 * all * c.tiles[1] * c.Channels * c.N)
}

// winoTask is a task's memory: before holds the tiles' elements, [16][tiles][channels], and later the half-done results,
// [2][4][tiles][N]; products are [16][tiles][N]; columns are what has become of a line's columns, even and odd ones apart,
// [4][2][tiles of a line + 1][channels]; none are zeros, and spare is for results outside the image.
type winoTask struct {
	before, products, columns, none, spare Ptr
	count                                  int // tiles
}

func (c *Winograd) memory(w *worker, count int) *winoTask {
	sizes := [...]int{max(16*c.Channels, 8*c.N) * count, 16 * c.N * count, 8 * (c.tiles[1] + 1) * c.Channels, c.Channels, c.N}
	total := 0
	for _, n := range sizes {
		total += (n + Lanes - 1) / Lanes * Lanes
	}
	p := Ptr(unsafe.SliceData(w.scratchFor(total)))
	t := &w.wino
	t.count = count
	for i, at := range [...]*Ptr{&t.before, &t.products, &t.columns, &t.none, &t.spare} {
		*at = p
		p = At(p, (sizes[i]+Lanes-1)/Lanes*Lanes*4)
	}
	clear(unsafe.Slice((*float32)(t.none), c.Channels))
	return t
}

func (s *Session) winogradTask(worker, i int) {
	c, w := &s.wino, &s.workers[worker]
	first := i * c.lines
	last := min(first+c.lines, c.Batch*c.tiles[0])
	t := c.memory(w, (last-first)*c.tiles[1])
	for line := first; line < last; line++ {
		c.columns(s, w, line)
		c.elements(s, w, (line-first)*c.tiles[1])
	}
	for k := range 16 {
		tile := Tile{K: c.K, A: At(t.before, k*t.count*c.K*4), LDA: c.K * 4, B: At(c.W, k*c.K*Lanes*4), BStep: c.Step,
			C: At(t.products, k*t.count*c.N*4), LDC: c.N * 4}
		if k == 5 {
			tile.Bias = c.Bias
		}
		s.k.Gemm.block(w, &tile, c.N, 0, t.count, 0, (c.N+Lanes-1)/Lanes)
	}
	c.halves(s, w)
	for line := first; line < last; line++ {
		c.results(s, w, line, (line-first)*c.tiles[1])
	}
}

// columns sends the columns of a line of tiles through the first kernel.
func (c *Winograd) columns(s *Session, w *worker, line int) {
	t, n := &w.wino, c.Channels*4
	image, top := line/c.tiles[0], line%c.tiles[0]*2-c.Pad[0]
	plane := (c.tiles[1] + 1) * n
	for col := range 2*c.tiles[1] + 2 {
		x := col - c.Pad[1]
		inside := x >= 0 && x < c.In[1]
		for i := range 4 {
			if w.ptrs[i] = t.none; inside && top+i >= 0 && top+i < c.In[0] {
				w.ptrs[i] = At(c.X, ((image*c.In[0]+top+i)*c.In[1]+x)*n)
			}
			w.ptrs[4+i] = At(t.columns, (2*i+col&1)*plane+col>>1*n)
		}
		callRow(s.k.Rows[c.Before], c.Channels, &w.ptrs)
	}
}

// elements sends the rows of a line of tiles, the first of which is tile at, through the first kernel: all tiles at once.
func (c *Winograd) elements(s *Session, w *worker, at int) {
	t, n := &w.wino, c.Channels*4
	plane := (c.tiles[1] + 1) * n
	for i := range 4 {
		for j := range 4 {
			w.ptrs[j] = At(t.columns, (2*i+j&1)*plane+j>>1*n)
			w.ptrs[4+j] = At(t.before, ((4*i+j)*t.count+at)*n)
		}
		callRow(s.k.Rows[c.Before], c.tiles[1]*c.Channels, &w.ptrs)
	}
}

// halves sends the columns of all products through the second kernel.
func (c *Winograd) halves(s *Session, w *worker) {
	t, size := &w.wino, w.wino.count*c.N
	for from := 0; from < size; from += mapped {
		for j := range 4 {
			for i := range 4 {
				w.ptrs[i] = At(t.products, ((4*i+j)*size+from)*4)
			}
			for a := range 2 {
				w.ptrs[4+a] = At(t.before, ((4*a+j)*size+from)*4)
			}
			callRow(s.k.Rows[c.After], min(mapped, size-from), &w.ptrs)
		}
	}
}

// results sends the rows of a line of tiles through the second kernel, and the result through the activation.
func (c *Winograd) results(s *Session, w *worker, line, at int) {
	t, n := &w.wino, c.N*4
	image, top := line/c.tiles[0], line%c.tiles[0]*2
	for a := range min(2, c.Windows[0]-top) {
		row := (image*c.Windows[0] + top + a) * c.Windows[1]
		for k := range c.tiles[1] {
			for j := range 4 {
				w.ptrs[j] = At(t.before, ((4*a+j)*t.count+at+k)*n)
			}
			w.ptrs[4] = At(c.C, (row+2*k)*n)
			if w.ptrs[5] = t.spare; 2*k+1 < c.Windows[1] {
				w.ptrs[5] = At(c.C, (row+2*k+1)*n)
			}
			callRow(s.k.Rows[c.After], c.N, &w.ptrs)
		}
		s.activate(&c.Linear, w, row, row+c.Windows[1], 0, c.N)
	}
}

// winogradOnDevice does the same with the device's own jobs, all tiles at once in memory of the device; false if it does not take one of them.
func (s *Session) winogradOnDevice(c *Winograd) bool {
	high, wide := 2*c.tiles[0]+2, 2*c.tiles[1]+2 // the image with what lies around it
	lines, tiles := c.Batch*c.tiles[0], c.Batch*c.tiles[0]*c.tiles[1]
	sizes := [...]int{c.Batch * high * wide * c.Channels, 4 * lines * wide * c.Channels, 16 * tiles * c.Channels, 16 * tiles * c.N, 8 * tiles * c.N, 4 * tiles * c.N}
	total := 0
	for _, n := range sizes {
		total += (n*4 + 255) &^ 255
	}
	room, err := s.room(total)
	if err != nil {
		return false
	}
	var mem [len(sizes)]Ptr
	for i, n := range sizes {
		mem[i] = room
		room = At(room, (n*4+255)&^255)
	}
	image, columns, elements, products, halves, results := mem[0], mem[1], mem[2], mem[3], mem[4], mem[5]
	place, line := c.Channels*4, wide*c.Channels*4
	ok := s.dev.Fill(image, 4, 0, 0, sizes[0], true) && s.dev.Move(&Move{Rank: 3, Size: 4, Dims: [maxAxes]int{c.Batch, c.In[0], c.In[1] * c.Channels},
		From: c.X, SF: [maxAxes]int{c.In[0] * c.In[1] * place, c.In[1] * place, 4},
		To: At(image, c.Pad[0]*line+c.Pad[1]*place), ST: [maxAxes]int{high * line, line, 4}})

	r := Rows{Kernel: c.Before, Rank: 3, Bufs: 8, Dims: [maxAxes]int{c.Batch, c.tiles[0], wide * c.Channels}}
	for i := range 4 {
		r.P[i], r.Stride[i] = At(image, i*line), [maxAxes]int{high * line, 2 * line, 4}
		r.P[4+i], r.Stride[4+i] = At(columns, i*lines*line), [maxAxes]int{c.tiles[0] * line, line, 4}
	}
	ok = ok && s.dev.Rows(&r)
	for i := range 4 {
		r := Rows{Kernel: c.Before, Rank: 3, Bufs: 8, Dims: [maxAxes]int{lines, c.tiles[1], c.Channels}}
		for j := range 4 {
			r.P[j], r.Stride[j] = At(columns, i*lines*line+j*place), [maxAxes]int{line, 2 * place, 4}
			r.P[4+j], r.Stride[4+j] = At(elements, (4*i+j)*tiles*place), [maxAxes]int{c.tiles[1] * place, place, 4}
		}
		ok = ok && s.dev.Rows(&r)
	}
	for k := range 16 {
		l := Linear{M: tiles, N: c.N, K: c.K, A: At(elements, k*tiles*place), W: At(c.W, k*c.K*Lanes*4), C: At(products, k*tiles*c.N*4), Act: -1, Step: c.Step}
		if k == 5 {
			l.Bias = c.Bias
		}
		ok = ok && s.dev.Linear(&l)
	}
	return ok && s.resultsOnDevice(c, products, halves, results)
}

// resultsOnDevice is what follows the products.
func (s *Session) resultsOnDevice(c *Winograd, products, halves, results Ptr) bool {
	n, size := c.N*4, c.Batch*c.tiles[0]*c.tiles[1]*c.N
	line := 2 * c.tiles[1] * n // of the results of whole tiles
	ok := true
	for j := range 4 {
		r := Rows{Kernel: c.After, Rank: 1, Bufs: 6, Dims: [maxAxes]int{size}}
		for i := range 4 {
			r.P[i], r.Stride[i][0] = At(products, (4*i+j)*size*4), 4
		}
		for a := range 2 {
			r.P[4+a], r.Stride[4+a][0] = At(halves, (4*a+j)*size*4), 4
		}
		ok = ok && s.dev.Rows(&r)
	}
	for a := range 2 {
		r := Rows{Kernel: c.After, Rank: 3, Bufs: 6, Dims: [maxAxes]int{c.Batch * c.tiles[0], c.tiles[1], c.N}}
		for j := range 4 {
			r.P[j], r.Stride[j] = At(halves, (4*a+j)*size*4), [maxAxes]int{c.tiles[1] * n, n, 4}
		}
		for k := range 2 {
			r.P[4+k], r.Stride[4+k] = At(results, a*line+k*n), [maxAxes]int{2 * line, 2 * n, 4}
		}
		ok = ok && s.dev.Rows(&r)
	}
	ok = ok && s.dev.Move(&Move{Rank: 3, Size: 4, Dims: [maxAxes]int{c.Batch, c.Windows[0], c.Windows[1] * c.N},
		From: results, SF: [maxAxes]int{2 * c.tiles[0] * line, line, 4}, To: c.C, ST: [maxAxes]int{c.Windows[0] * c.Windows[1] * n, c.Windows[1] * n, 4}})
	if c.Act < 0 {
		return ok
	}
	r := Rows{Kernel: c.Act, Rank: 1, Bufs: 2, Dims: [maxAxes]int{c.M * c.N}}
	r.P[0], r.P[1] = c.C, c.C
	if c.Res != nil {
		r.Bufs, r.P[1], r.P[2] = 3, c.Res, c.C
	}
	for b := range r.Bufs {
		r.Stride[b][0] = 4
	}
	return ok && s.dev.Rows(&r)
}
