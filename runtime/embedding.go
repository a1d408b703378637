package rt

// Embedding adds rows of up to four tables: for every place of an index space of Rank axes, table t's row is picked by its own
// indices, whose strides are in bytes, 0 where they are broadcast.
type Embedding struct {
	Kernel, Count, Rank, Width int
	Tables, Index              [4]Ptr
	Sizes                      [4]int
	Wide                       [4]bool // indices are int64
	Dims                       [maxAxes]int
	Stride                     [4][maxAxes]int
	Out                        Ptr
}

// embeddingTask is how many places a task takes.
const embeddingTask = 32

// Embedding runs the operator; an index outside its table is the run's error.
func (s *Session) Embedding(e Embedding) {
	s.emb = e
	if s.dev != nil && s.dev.Embedding(&s.emb) {
		return
	}
	s.enter()
	n := e.places()
	for i := range n {
		for t := range e.Count {
			if k := e.row(t, i); k < 0 || k >= e.Sizes[t] {
				s.fail("index %d of embedding table %d is outside its %d rows", k, t, e.Sizes[t])
				return
			}
		}
	}
	if n > 0 {
		s.parallel((n+embeddingTask-1)/embeddingTask, s.task.emb)
	}
	s.leave(0)
}

func (e *Embedding) places() int {
	n := 1
	for _, d := range e.Dims[:e.Rank] {
		n *= d
	}
	return n
}

// row is the row of table t at place i; a negative index counts from the end.
func (e *Embedding) row(t, i int) int {
	off := 0
	for a := e.Rank - 1; a >= 0; a-- {
		off += i % e.Dims[a] * e.Stride[t][a]
		i /= e.Dims[a]
	}
	k := integerAt(At(e.Index[t], off), 0, e.Wide[t])
	return k + b2i(k < 0)*e.Sizes[t]
}

func (s *Session) embeddingTask(worker, i int) {
	e, w := &s.emb, &s.workers[worker]
	for p := i * embeddingTask; p < min((i+1)*embeddingTask, e.places()); p++ {
		for t := range e.Count {
			w.ptrs[t] = At(e.Tables[t], e.row(t, p)*e.Width*4)
		}
		w.ptrs[e.Count] = At(e.Out, p*e.Width*4)
		callRow(s.k.Rows[e.Kernel], e.Width, &w.ptrs)
	}
}
