package rt

import "unsafe"

// Layers are two layers, of which the second reads the first's result and nothing else does: C of the first is A of the second.
type Layers struct {
	First, Second Linear

	rows int // a task takes
}

// LayersWeights is how many bytes of weights may be read again for each block of rows.
const LayersWeights = 6 << 20

// layersBytes is from which size on a result does not stay in a core's cache until the next layer reads it.
const layersBytes = 2 << 20

// Layers runs both, by blocks of rows where the result between them is large.
func (s *Session) Layers(l Layers) {
	f, g := &l.First, &l.Second
	if s.dev != nil || f.M*f.N*4 < layersBytes {
		s.Linear(*f)
		s.Linear(*g)
		return
	}
	s.layers = l
	n := &s.layers
	tile := s.k.Gemm.Rows
	n.rows = max(tile, rowsBytes/4/(f.K+f.N+g.N)/tile*tile)
	if t := s.threads(); t > 1 {
		blocks := CeilDiv(CeilDiv(f.M, n.rows), t) * t
		n.rows = CeilDiv(CeilDiv(f.M, blocks), tile) * tile
	}
	s.enter()
	s.parallel(CeilDiv(f.M, n.rows), s.task.layers)
	s.leave(2*f.M*f.N*f.K + 2*g.M*g.N*g.K)
}

// layersTask does a block of rows of both.
func (s *Session) layersTask(worker, i int) {
	n, w := &s.layers, &s.workers[worker]
	r0 := i * n.rows
	r1 := min(r0+n.rows, n.First.M)
	f, room := n.First, w.scratchFor((r1-r0)*n.First.N)
	f.C = Ptr(unsafe.SliceData(room))
	f.task(s, w, At(f.A, r0*f.RowStep()), 0, r1-r0, 0, CeilDiv(f.N, Lanes))
	n.Second.task(s, w, f.C, r0, r1, 0, CeilDiv(n.Second.N, Lanes))
}
