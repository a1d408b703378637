package rt

import "unsafe"

// Lanes is the width of a panel: B is stored as [panels][k][Lanes], and reductions have as many virtual lanes.
const Lanes = 16

// Tile is one call of a tile kernel: C[rows, panels*16] = A B + Bias + Res or max(0, that), each element one chain of fused multiply-adds in
// increasing k, from zero or, if Acc, from C. Strides are in bytes. The kernels read the fields at these offsets.
type Tile struct {
	K     int           // 0
	A     Ptr           // 8
	LDA   int           // 16
	B     Ptr           // 24: the first panel
	BStep int           // 32: from one panel to the next
	C     Ptr           // 40
	LDC   int           // 48
	Bias  Ptr           // 56: nil for none
	Res   Ptr           // 64: nil for none
	LDR   int           // 72
	Mask  uint64        // 80: the valid columns of the last panel, a bit each
	Lane  *[Lanes]int32 // 88: the same as a vector of 0 and -1
	Acc   int           // 96
	Rows  int           // 104: for kernels that take any number
	Cols  int           // 112: panels, likewise
	Next  uintptr       // 120: what will be read soon of the first panel, perhaps past the end of B; kernels may prefetch it
	Relu  int           // 128: not 0: max(0, x) at the end
	Pace  int           // 136: how many bytes of it every four steps of k, at most two lines
	Coded *Coded        // 144: how B is written if it is no f32
	More  int           // 152: how many more stretches of K follow in a row of A, and in B; K of all of them is one chain, which is not cut
	Skip  int           // 160: bytes from the end of one stretch to the next
}

// Gemm is the tile kernels of an instruction set: Tiles[r][p] does r rows and p panels; Columns and Lines pack. Bytes is that of Bytes, if the
// program has one: K counts words of four bytes, Bias is of i32 and always there, there is no Res, Acc is 0, and results are i32 if Relu is
// set, else f32.
type Gemm struct {
	Rows, Panels   int
	Columns, Lines func(*Panel)
	Tiles          [][]func(*Tile)
	Bytes          *Gemm

	// Of the kernels of bytes: products are not cut in k, A is of i8 rather than of u8, and what makes bytes.
	Deep, Signed bool
	Narrow       func(*Narrow)

	Coded [Codings]CodedKernels // those that the program needs
}

// laneMasks[n] has the first n lanes set.
var laneMasks = func() (m [Lanes + 1][Lanes]int32) {
	for n := range m {
		for i := range n {
			m[n][i] = -1
		}
	}
	return m
}()

// maxDepth is about the most steps of k in one kernel call: it bounds the call's time, and the rows of A of that length stay in
// the second-level cache from one panel to the next.
const maxDepth = 1280

// depth is the number of steps of k in each block of a product over k.
func depth(k int) int {
	blocks := max(1, (k+maxDepth-1)/maxDepth)
	return max(1, ((k+blocks-1)/blocks+3)&^3)
}

// run is some rows of A that follow each other, no more than a tile has: which they are and, if they do not begin where that row does, how many
// bytes behind it, and how many bytes from the first their results and what is added to them begin.
type run struct{ a, at, c, res, n int }

// block computes rows r0 … r1 of C for panels p0 … p1 with tile kernels. t holds A, B, C, Bias and Res at row 0 and panel 0.
func (g *Gemm) block(w *worker, t *Tile, n, r0, r1, p0, p1 int) {
	w.runs = t.rows(w.runs[:0], r0, r1, g.Rows)
	g.runs(w, t, n, w.runs, p0, p1)
}

// rows appends runs of equal heights for rows r0 … r1.
func (t *Tile) rows(runs []run, r0, r1, most int) []run {
	return evenRuns(runs, run{a: r0, c: r0 * t.LDC, res: r0 * t.LDR}, r1-r0, most, run{a: 1, c: t.LDC, res: t.LDR})
}

// evenRuns appends some rows, of which r is the first and step is from one to the next, as runs of no more than most: as few as there can be, the
// first ones of one row more than the others.
func evenRuns(runs []run, r run, rows, most int, step run) []run {
	if rows <= 0 {
		return runs
	}
	count := (rows + most - 1) / most
	height, more := rows/count, rows%count
	for i := range count {
		r.n = height + b2i(i < more)
		runs = append(runs, r)
		r.a, r.at, r.c, r.res = r.a+r.n*step.a, r.at+r.n*step.at, r.c+r.n*step.c, r.res+r.n*step.res
	}
	return runs
}

// runs does the products of runs of rows with panels p0 … p1.
func (g *Gemm) runs(w *worker, t *Tile, n int, runs []run, p0, p1 int) {
	kc := depth(t.K)
	if g.Deep || t.More > 0 {
		kc = max(1, t.K)
	}
	if t.Coded != nil {
		if few := g.few(t, runs); few != nil {
			few.coded(w, t, n, runs[0], p0, p1)
			return
		}
		kc = t.Coded.depth(len(runs))
	}
	for k := 0; k < t.K || k == 0; k += kc {
		for p, np := p0, 0; p < p1; p += np {
			np = g.group(p1 - p)
			u := t.part(w, k, min(kc, t.K-k), p, np, n)
			line, ahead := Lanes*4, uintptr(0)
			if t.Coded != nil {
				line = g.unpacked(w, t, u, k, p, np)
			} else {
				u.B = At(t.B, p*t.BStep+k*line)
			}
			if line > 0 {
				ahead = t.after(p0, p+np, p1, k, kc, line)
			}
			u.Pace = pace(len(runs), line)
			c, res := u.C, u.Res
			for i, r := range runs {
				u.A, u.C, u.Rows = At(t.A, r.a*t.LDA+r.at+k*4), At(c, r.c), r.n
				if res != nil {
					u.Res = At(res, r.res)
				}
				u.Next = ahead + uintptr(u.K*i/len(runs)*line)
				callTile(g.Tiles[r.n][np], u)
			}
		}
	}
}

// callTile, callNarrow, callRow, callTurn, callWalk and callPanel are the only ways to a kernel: assembly cannot be preempted, and a loop around it has no safe
// point of its own; a call of a Go function that is not inlined has one.
//
//go:noinline
func callTile(f func(*Tile), t *Tile) { f(t) }

//go:noinline
func callNarrow(f func(*Narrow), n *Narrow) { f(n) }

//go:noinline
func callRow(f RowKernel, n int, p *Ptrs) { f(n, p) }

//go:noinline
func callTurn(f TurnKernel, n int, p *Turn) { f(n, p) }

//go:noinline
func callWalk(f WalkKernel, w *Walk) { f(w) }

// part sets a worker's tile up for depth steps of k from k on and np panels from p on, but for where B is.
func (t *Tile) part(w *worker, k, depth, p, np, n int) *Tile {
	u := &w.tile
	*u = *t
	last := min(n-(p+np-1)*Lanes, Lanes)
	u.K, u.Acc, u.Cols = depth, b2i(k > 0 || t.Acc != 0), np
	u.Mask, u.Lane = 1<<last-1, &laneMasks[last]
	u.C = At(t.C, p*Lanes*4)
	if k+depth < t.K {
		u.Bias, u.Res, u.Relu = nil, nil, 0
		return u
	}
	if t.Bias != nil {
		u.Bias = At(t.Bias, p*Lanes*4)
	}
	if t.Res != nil {
		u.Res = At(t.Res, p*Lanes*4)
	}
	return u
}

// group is how many of some panels to do at once: as many as a kernel takes, but not so many that one is left for a group of its own,
// whose products would wait for each other.
func (g *Gemm) group(left int) int {
	if g.Panels > 2 && left == g.Panels+1 {
		return CeilDiv(left, 2)
	}
	return min(g.Panels, left)
}

// after is where the panels begin that are read after those before p: with the same steps of k, with the next ones or, at the end, by the
// next task; line is the bytes of a step. Not a pointer: it may lie outside the matrix, where the collector must not look.
func (t *Tile) after(p0, p, p1, k, depth, line int) uintptr {
	switch last := k+depth >= t.K; {
	case p >= p1 && last:
		k = 0
	case p >= p1:
		p, k = p0, k+depth
	}
	return uintptr(t.B) + uintptr(p*t.BStep+k*line)
}

// pace is how many bytes of each panel to come, which has so many for each step, a call prefetches every four steps of k, so that as many calls
// as there are blocks of rows bring in all of it evenly: in a burst, or twice, it costs more than it saves.
func pace(calls, line int) int { return min(CeilDiv(4*line, max(1, calls)), 128) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TileGo is the tile kernel in plain Go, for any number of rows and panels.
func TileGo(t *Tile) {
	for p := range t.Cols {
		cols := Lanes
		if p == t.Cols-1 {
			for cols = 0; t.Mask>>cols&1 != 0; cols++ {
			}
		}
		b := unsafe.Slice((*float32)(At(t.B, p*t.BStep)), t.K*(t.More+1)*Lanes)
		for r := range t.Rows {
			t.rowGo(r, p, cols, b)
		}
	}
}

func (t *Tile) rowGo(r, p, cols int, b []float32) {
	var acc [Lanes]float32
	c := unsafe.Slice((*float32)(At(t.C, r*t.LDC+p*Lanes*4)), cols)
	if t.Acc != 0 {
		copy(acc[:], c)
	}
	for m := range t.More + 1 {
		a := unsafe.Slice((*float32)(At(t.A, r*t.LDA+m*(t.K*4+t.Skip))), t.K)
		for k, x := range a {
			row := b[k*Lanes : k*Lanes+Lanes]
			for i := range acc {
				acc[i] = FMA(x, row[i], acc[i])
			}
		}
		b = b[t.K*Lanes:]
	}
	for i := range c {
		v := acc[i]
		if t.Bias != nil {
			v += *(*float32)(At(t.Bias, (p*Lanes+i)*4))
		}
		if t.Res != nil {
			v += *(*float32)(At(t.Res, r*t.LDR+(p*Lanes+i)*4))
		}
		if t.Relu != 0 && 0 > v {
			v = 0
		}
		c[i] = v
	}
}

// Linear is C[M, N] = act(A[M, K] W + Bias) + Res, W packed in panels, rows contiguous. Act works on a row: C, then Res if
// there is one, then C again as the output.
type Linear struct {
	M, N, K            int
	A, W, Bias, Res, C Ptr
	Act                int  // index of the row kernel, or -1
	Relu               bool // the row kernel is max(0, C + Res), which tile kernels do themselves
	Step               int  // bytes from one panel of W to the next; 0 if they follow each other
	Row                int  // bytes from one row of A to the next; 0 if they follow each other
	Out                Lines
	Coded              Coded // how W is written; f32 if Bits is 0

	rows, width int // rows and panels a task takes
}

// Lines is where the rows of C are if they do not follow each other, strides in bytes: Count rows make a line, Row apart, and Of lines a
// group, Line apart; groups are Group apart. Such a layer has no row kernel. If Count is 0, they follow each other.
type Lines struct{ Count, Row, Of, Line, Group int }

// at is where row r begins.
func (l *Lines) at(r int) int {
	return r%l.Count*l.Row + r/l.Count%l.Of*l.Line + r/l.Count/l.Of*l.Group
}

// runs appends runs of equal heights for rows r0 … r1, of which A begins with the first; res is the bytes of a row of what is added.
func (l *Lines) runs(runs []run, r0, r1, most, res int) []run {
	for r := r0; r < r1; {
		end := min(r1, (r/l.Count+1)*l.Count)
		runs = evenRuns(runs, run{a: r - r0, c: l.at(r), res: r * res}, end-r, most, run{a: 1, c: l.Row, res: res})
		r = end
	}
	return runs
}

// PanelStep is the bytes from one panel of W to the next.
func (l *Linear) PanelStep() int {
	switch {
	case l.Step != 0:
		return l.Step
	case l.Coded.Bits != 0:
		return l.Coded.Step(l.K)
	}
	return l.K * Lanes * 4
}

// RowStep is the bytes from one row of A to the next.
func (l *Linear) RowStep() int {
	if l.Row != 0 {
		return l.Row
	}
	return l.K * 4
}

// Linear runs the layer.
func (s *Session) Linear(l Linear) {
	if l.M == 0 {
		return
	}
	s.lin = l
	if s.dev != nil && s.dev.Linear(&s.lin) {
		return
	}
	s.enter()
	n := &s.lin
	if n.rowsFirst() && n.Coded.Bits == 0 { // coded weights are made f32 once for all rows
		n.cut(s.k.Gemm.Rows, s.k.Gemm.Panels, s.threads(), rowsBytes)
	} else {
		n.rows, n.width = l.M, columnsFirst(l.N, s.k.Gemm.Panels, s.threads())
	}
	s.parallel(n.blocks()*n.groups(), s.task.lin)
	s.leave(2 * l.M * l.N * l.K)
}

// rowsBytes is about how much of A, and of C beside it, a block of rows takes.
const rowsBytes = 512 << 10

// rowsFirst reports whether blocks of rows should pass over all of the weights, rather than groups of columns over all rows: where there
// are many rows and few weights, or where A would not stay in cache.
func (l *Linear) rowsFirst() bool {
	weights := l.N * l.K * 4
	return weights <= weightBytes/2 && l.M >= 128 || weights <= weightBytes && l.M >= 1024 || depth(l.K)*l.M*4 > 2*weightBytes
}

// columnsFirst is the number of panels a task takes if it takes all rows: few enough that every thread gets several, and at most eight.
func columnsFirst(n, np, threads int) int {
	w := (n + Lanes - 1) / Lanes / (8 * threads)
	return max(min(w, 8)/np*np, np)
}

func (s *Session) linearTask(worker, i int) {
	l := &s.lin
	r0, r1, p0, p1 := l.part(i)
	l.task(s, &s.workers[worker], At(l.A, r0*l.RowStep()), r0, r1, p0, p1)
}

// task does rows r0 … r1 of panels p0 … p1; a is the first of the rows.
func (l *Linear) task(s *Session, w *worker, a Ptr, r0, r1, p0, p1 int) {
	t := Tile{K: l.K, A: a, LDA: l.RowStep(), B: l.W, BStep: l.PanelStep()}
	if l.Coded.Bits != 0 {
		t.Coded = &l.Coded
	}
	if l.Out.Count > 0 {
		t.C, t.LDC = l.C, l.Out.Row
		l.epilogue(&t, 0)
		w.runs = l.Out.runs(w.runs[:0], r0, r1, s.k.Gemm.Rows, t.LDR)
		s.k.Gemm.runs(w, &t, l.N, w.runs, p0, p1)
		return
	}
	t.C, t.LDC = At(l.C, r0*l.N*4), l.N*4
	l.epilogue(&t, r0)
	s.k.Gemm.block(w, &t, l.N, 0, r1-r0, p0, p1)
	s.activate(l, w, r0, r1, p0*Lanes, min(p1*Lanes, l.N))
}

// epilogue gives a tile what it can do itself of what follows the product, for rows from r0 on.
func (l *Linear) epilogue(t *Tile, r0 int) {
	t.Bias, t.LDR, t.Relu = l.Bias, l.N*4, b2i(l.Relu)
	if l.Res != nil && (l.Act < 0 || l.Relu) {
		t.Res = At(l.Res, r0*t.LDR)
	}
}

// mapped is about the most elements of one call of an activation.
const mapped = 1 << 13

// activate runs the activation on rows r0 … r1 of columns n0 … n1 of the result. It takes elements one by one, so whole rows are one
// stretch of them.
func (s *Session) activate(l *Linear, w *worker, r0, r1, n0, n1 int) {
	if l.Act < 0 || l.Relu {
		return
	}
	each := 1
	if n0 == 0 && n1 == l.N {
		each = max(1, mapped/l.N)
	}
	for r := r0; r < r1; r += each {
		at := (r*l.N + n0) * 4
		c := At(l.C, at)
		w.ptrs[0] = c
		if l.Res != nil {
			w.ptrs[1], w.ptrs[2] = At(l.Res, at), c
		} else {
			w.ptrs[1] = c
		}
		callRow(s.k.Rows[l.Act], min(each, r1-r)*(n1-n0), &w.ptrs)
	}
}

// MatMul is C = A B for a batch of matrices, both computed at run time: batch strides of A and B in elements may be 0. Rows of B are
// contiguous or, if Column is set, its columns are, so many elements apart. Packed has room for the packed matrices of B, one for each
// different one.
type MatMul struct {
	Batch           [3]int // sizes of up to three batch axes, outermost first
	SA, SB          [3]int // strides of A and B along them
	M, N, K         int
	A, B, C, Packed Ptr
	Column          int
}

// MatMul runs the product.
func (s *Session) MatMul(m MatMul) {
	s.mm = m
	if s.dev != nil && s.dev.MatMul(&s.mm) {
		return
	}
	s.enter()
	n := m.Batch[0] * m.Batch[1] * m.Batch[2]
	if n*m.M*m.N > 0 {
		s.parallel(n, s.task.mmPack)
		s.parallel(n, s.task.mm)
	}
	s.leave(2 * n * m.M * m.N * m.K)
}

// offset is the offset of batch entry i along strides.
func (m *MatMul) offset(i int, st [3]int) int {
	c := i % m.Batch[2]
	i /= m.Batch[2]
	return i/m.Batch[1]*st[0] + i%m.Batch[1]*st[1] + c*st[2]
}

func (m *MatMul) packedSize() int { return (m.N + Lanes - 1) / Lanes * Lanes * m.K }

func (s *Session) packTask(worker, i int) {
	m := &s.mm
	size := m.packedSize()
	dst := unsafe.Slice((*float32)(At(m.Packed, i*size*4)), size)
	g, w, b := &s.k.Gemm, &s.workers[worker], At(m.B, m.offset(i, m.SB)*4)
	if m.Column == 0 {
		g.pack(w, dst, b, m.K, m.N, m.N)
		return
	}
	g.packColumns(w, dst, m.N, m.K, func(c int) Ptr { return At(b, c*m.Column*4) })
}

func (s *Session) matmulTask(worker, i int) {
	m := &s.mm
	t := Tile{K: m.K, A: At(m.A, m.offset(i, m.SA)*4), LDA: m.K * 4, B: At(m.Packed, i*m.packedSize()*4),
		BStep: m.K * Lanes * 4, C: At(m.C, i*m.M*m.N*4), LDC: m.N * 4}
	s.k.Gemm.block(&s.workers[worker], &t, m.N, 0, m.M, 0, (m.N+Lanes-1)/Lanes)
}

// GoGemm is the kernels in plain Go.
var GoGemm = func() Gemm {
	g := Gemm{Rows: 8, Panels: 2, Columns: ColumnsGo, Lines: LinesGo, Bytes: goBytes, Coded: codedGo}
	for range g.Rows + 1 {
		g.Tiles = append(g.Tiles, []func(*Tile){TileGo, TileGo, TileGo})
	}
	return g
}()
