package rt

// maxAxes is the most axes of a loop nest.
const maxAxes = 8

// Rows applies a row kernel over the outer axes of a nest. Axis Rank-1 is the row; strides are in bytes. A buffer that the
// kernel takes as uniform has stride 0 along the row.
type Rows struct {
	Kernel int
	Rank   int
	Bufs   int
	Whole  bool // rows must not be cut or joined: the kernel reduces over them
	Dims   [maxAxes]int
	P      [maxBufs]Ptr
	Stride [maxBufs][maxAxes]int

	chunk, chunks int // elements of a row a task takes, tasks a row
	outer, each   int // rows in all, rows a task takes
}

// rowTask is about how many elements a task should have.
const rowTask = 1 << 13

// Rows runs the nest.
func (s *Session) Rows(r Rows) {
	s.rows = r
	n := &s.rows
	n.join()
	if s.dev != nil && s.dev.Rows(n) {
		return
	}
	s.enter()
	n.outer = 1
	for a := range n.Rank - 1 {
		n.outer *= n.Dims[a]
	}
	length := n.Dims[n.Rank-1]
	n.chunk, n.chunks = length, 1
	if !n.Whole && length > rowTask {
		n.chunk = rowTask
		n.chunks = (length + rowTask - 1) / rowTask
	}
	n.each = max(1, rowTask/max(n.chunk, 1))
	if total := n.outer * length; total > 0 || n.Whole && n.outer > 0 {
		s.parallel((n.outer+n.each-1)/n.each*n.chunks, s.task.rows)
	}
	s.leave(n.outer * length)
}

// join makes one axis of neighbours that every buffer walks as one.
func (n *Rows) join() {
	last := n.Rank - 1
	if n.Whole {
		last--
	}
	for a := last - 1; a >= 0; a-- {
		ok := true
		for b := range n.Bufs {
			ok = ok && (n.Stride[b][a] == n.Stride[b][a+1]*n.Dims[a+1])
		}
		if !ok {
			continue
		}
		n.Dims[a+1] *= n.Dims[a]
		n.drop(a)
	}
}

func (n *Rows) drop(a int) {
	copy(n.Dims[a:], n.Dims[a+1:n.Rank])
	for b := range n.Bufs {
		copy(n.Stride[b][a:], n.Stride[b][a+1:n.Rank])
	}
	n.Rank--
}

func (s *Session) rowsTask(worker, i int) {
	n, w := &s.rows, &s.workers[worker]
	part := i % n.chunks
	from := part * n.chunk
	length := min(n.chunk, n.Dims[n.Rank-1]-from)
	first := i / n.chunks * n.each
	s.eachRow(w, n.Kernel, length, min(n.each, n.outer-first), func(r int, p *Ptrs) {
		for b := range n.Bufs {
			off, k := from*n.Stride[b][n.Rank-1], first+r
			for a := n.Rank - 2; a > 0; a-- {
				off += k % n.Dims[a] * n.Stride[b][a]
				k /= n.Dims[a]
			}
			p[b] = At(n.P[b], off+k*n.Stride[b][0])
		}
	})
}

// turnLength is the most elements of rows that are worked on in turns: the buffers of all of them should stay in the first cache.
const turnLength = 2048

// eachRow applies a row kernel to rows of a length, several in turns where the kernel has such a form. at gives the buffers of row r.
func (s *Session) eachRow(w *worker, kernel, length, rows int, at func(r int, p *Ptrs)) {
	r := 0
	if kernel < len(s.k.Turns) && s.k.Turns[kernel] != nil && length <= turnLength {
		for ; r+s.k.Turn <= rows; r += s.k.Turn {
			for i := range s.k.Turn {
				at(r+i, &w.turn[i])
			}
			callTurn(s.k.Turns[kernel], length, &w.turn)
		}
	}
	for ; r < rows; r++ {
		at(r, &w.ptrs)
		callRow(s.k.Rows[kernel], length, &w.ptrs)
	}
}
