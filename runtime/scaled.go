package rt

// Scaled is a Linear of rows that are scaled first, channel by channel, by another row for every entry of the batch: X [batch, Rows, K],
// By [batch, K]. Where blocks of rows pass over all of the weights, a block is scaled just before, into memory that stays in cache.
type Scaled struct {
	Linear Linear
	X, By  Ptr
	Rows   int // an entry of the batch has
	Room   Ptr // for the scaled rows, where they are all made at once
	Kernel int // the row kernel, for that
	Walk   int // the walk kernel, for blocks
}

// Scaled runs the layer.
func (s *Session) Scaled(l Scaled) {
	n := &l.Linear
	if n.M == 0 {
		return
	}
	if s.dev != nil || !n.rowsFirst() {
		images := n.M / l.Rows
		s.Rows(Rows{Kernel: l.Kernel, Rank: 3, Bufs: 3, Dims: [maxAxes]int{images, l.Rows, n.K}, P: [maxBufs]Ptr{l.X, l.By, l.Room},
			Stride: [maxBufs][maxAxes]int{{l.Rows * n.K * 4, n.K * 4, 4}, {n.K * 4, 0, 4}, {l.Rows * n.K * 4, n.K * 4, 4}}})
		n.A = l.Room
		s.Linear(*n)
		return
	}
	s.scaled = l
	n = &s.scaled.Linear
	s.enter()
	n.cut(s.k.Gemm.Rows, s.k.Gemm.Panels, s.threads(), rowsBytes/2)
	s.parallel(n.blocks()*n.groups(), s.task.scaled)
	s.leave(2 * n.M * n.N * n.K)
}

func (s *Session) scaledTask(worker, i int) {
	l, w := &s.scaled, &s.workers[worker]
	n := &l.Linear
	r0, r1, p0, p1 := n.part(i)
	a := l.scale(s, w, r0, r1)
	n.task(s, w, a, r0, r1, p0, p1)
}

// scale makes rows r0 … r1.
func (l *Scaled) scale(s *Session, w *worker, r0, r1 int) Ptr {
	row := l.Linear.K * 4
	a := Ptr(&w.scratchFor((r1 - r0) * l.Linear.K)[0])
	w.walk.N, w.walk.In, w.walk.Out = l.Linear.K, row, row
	most := max(WalkStep, walkFlops/l.Linear.K/WalkStep*WalkStep)
	for r := r0; r < r1; r += w.walk.Places {
		image := r / l.Rows
		w.walk.Places = walkPlaces(min(r1-r, (image+1)*l.Rows-r, most))
		w.walk.P[0], w.walk.P[1], w.walk.P[2] = At(l.X, r*row), At(l.By, image*row), At(a, (r-r0)*row)
		callWalk(s.k.Walks[l.Walk], &w.walk)
	}
	return a
}
