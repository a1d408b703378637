package rt

import "unsafe"

// View is where a tensor of [batch, heads, rows, columns] lies: strides in elements, columns contiguous.
type View struct {
	P                Ptr
	Batch, Head, Row int
}

func (v *View) at(b, h, r int) Ptr { return At(v.P, (b*v.Batch+h*v.Head+r*v.Row)*4) }

// Attention is softmax(q k' scale + mask) v for every batch entry and head. Softmax is the row kernel that scales, adds the
// mask row if Mask.P is set, and normalises; it reads and writes the scores in place.
type Attention struct {
	Batch, Heads, M, S, D, E int
	Q, K, V, Out, Mask       View
	Softmax                  int
	Group                    int // heads of queries that share one of keys and values, one after another (Ainslie et al., 2023); 0 for 1

	// New, where set, are the last rows of K and V, which are not in their places yet: the operator reads them here and puts them there,
	// behind the first Past.
	New  [2]View
	Past int

	// Windows, if not 0, is how many batch entries, windows of an image, share one stretch of Q, K, V and Out: row r of window n is row
	// Rows[n*M+r], an int64, of the image. Batch strides are of images then, the mask's of windows; M is S.
	Windows int
	Rows    Ptr
	Around  [2]Ptr // a row of K and V where Rows has -1: what windows have around the image
	Masks   Ptr    // which of the masks each window has, an int64; nil if the windows' number is the mask's
}

// Attention runs the operator.
func (s *Session) Attention(a Attention) {
	if s.dev != nil || a.M == 0 {
		for i, v := range []*View{&a.K, &a.V} {
			if a.New[i].P != nil {
				s.Move(a.putAll(i, v))
				a.New[i].P = nil
			}
		}
	}
	s.att = a
	if s.dev != nil && a.Windows == 0 && s.dev.Attention(&s.att) {
		return
	}
	s.enter()
	if a.M*a.S > 0 {
		s.parallel(a.Batch*a.Heads/a.group()*a.splits(s.threads()), s.task.att)
	}
	s.leave(2 * a.Batch * a.Heads * a.M * a.S * (a.D + a.E))
}

func (a *Attention) group() int { return max(1, a.Group) }

// splits is into how many parts the rows of the heads of a group are cut, so that every thread has work.
func (a *Attention) splits(threads int) int {
	n := a.Batch * a.Heads / a.group()
	if n == 0 || n >= 2*threads {
		return 1
	}
	return min((2*threads+n-1)/n, (a.M+15)/16)
}

// row is where a row of a window is: in the image, or around it.
func (a *Attention) row(v *View, around Ptr, image, h int, at int64) Ptr {
	if at < 0 {
		return At(around, h*v.Head*4)
	}
	return v.at(image, h, int(at))
}

// windowTask is attentionTask for one head of one window. Rows of the window that follow each other in the image, a line of it, are
// multiplied where they are, so that nothing is shifted, partitioned or put together again in memory (Liu et al., 2021); the softmax is of
// as many lines as the cache holds. Rows around the image are keys and values alone.
func (s *Session) windowTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	parts := a.splits(s.threads())
	if i%parts != 0 {
		return // a window is too small to be cut
	}
	b, h := i/parts/a.Heads, i/parts%a.Heads
	image, window := b/a.Windows, b%a.Windows
	rows, mask := unsafe.Slice((*int64)(At(a.Rows, window*a.M*8)), a.M), window
	if a.Masks != nil {
		mask = int(*(*int64)(At(a.Masks, window*8)))
	}
	p := a.panels(w, windowRows(a.S, 2*g.Rows))
	g.packWindow(w, a, p.keys, p.values, rows, image, h)
	for r, n := 0, 0; r < a.M; r += n {
		n = min(p.rows, a.M-r)
		w.runs = p.runs(w.runs[:0], rows[r:r+n], g.Rows)
		t := Tile{K: a.D, A: a.Q.at(image, h, 0), LDA: a.Q.Row * 4, C: p.row(0), LDC: p.ld * 4}
		t.B, t.BStep = p.keyPanels(a)
		g.runs(w, &t, a.S, w.runs, 0, CeilDiv(a.S, Lanes))
		s.softmax(w, &p, mask, h, r, n)
		for i, u := range w.runs {
			w.runs[i] = run{a: u.c / t.LDC, c: u.a * a.Out.Row * 4, n: u.n}
		}
		t = Tile{K: a.S, A: p.row(0), LDA: p.ld * 4, C: a.Out.at(image, h, 0), LDC: a.Out.Row * 4}
		t.B, t.BStep = p.valuePanels(a)
		g.runs(w, &t, a.E, w.runs, 0, CeilDiv(a.E, Lanes))
	}
}

// windowRows is how many rows of scores of s keys a task of windows holds: 24 KiB of them, but at least a few.
func windowRows(s, least int) int { return max(least, 24<<10/4/(CeilDiv(s, Lanes)*Lanes+Lanes)) }

// runs appends the runs of a window's rows, of equal heights where one takes several, that have queries in the image: from rows of the image
// to rows of the scores. Scores of others are cleared.
func (p *headPanels) runs(runs []run, rows []int64, most int) []run {
	for at, n := 0, 0; at < len(rows); at += n {
		n = inLine(rows[at:])
		if rows[at] < 0 {
			clear(p.scores[at*p.ld:][:p.ld])
			continue
		}
		n = CeilDiv(n, CeilDiv(n, most))
		runs = append(runs, run{a: int(rows[at]), c: at * p.ld * 4, n: n})
	}
	return runs
}

// inLine is how many of some rows follow each other in the image.
func inLine(rows []int64) int {
	n := 1
	for n < len(rows) && rows[n-1] >= 0 && rows[n] == rows[n-1]+1 {
		n++
	}
	return n
}

// packWindow packs a window's keys and values, these a line of the window after the other.
func (g *Gemm) packWindow(w *worker, a *Attention, kp, vp []float32, rows []int64, image, h int) {
	g.packColumns(w, kp, len(rows), a.D, func(r int) Ptr { return a.row(&a.K, a.Around[0], image, h, rows[r]) })
	for r, n := 0, 0; r < len(rows); r += n {
		n = inLine(rows[r:])
		g.packRows(w, vp, a.row(&a.V, a.Around[1], image, h, rows[r]), a.S, r, r+n, a.E, a.V.Row)
	}
}

// attentionTask does some rows of the heads that share one of keys and values: these go into panels, then for a few rows at a time the
// scores, their softmax and the product with the values stay in the cache.
func (s *Session) attentionTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	if a.Windows > 0 {
		s.windowTask(worker, i)
		return
	}
	parts, group := a.splits(s.threads()), a.group()
	shared := a.Heads / group
	b, kv := i/parts/shared, i/parts%shared
	p := a.panels(w, g.Rows*2)
	g.packColumns(w, p.keys, a.S, a.D, func(r int) Ptr { return a.key(b, kv, r) })
	g.packValues(w, p.values, a, b, kv)
	if i%parts == 0 {
		a.put(b, kv)
	}
	for h := kv * group; h < (kv+1)*group; h++ {
		s.headRows(w, &p, b, h, a.M*(i%parts)/parts, a.M*(i%parts+1)/parts)
	}
}

// packValues lays a head's values out in panels.
func (g *Gemm) packValues(w *worker, dst []float32, a *Attention, b, h int) {
	if a.New[1].P == nil {
		g.pack(w, dst, a.V.at(b, h, 0), a.S, a.E, a.V.Row)
		return
	}
	g.packRows(w, dst, a.V.at(b, h, 0), a.S, 0, a.Past, a.E, a.V.Row)
	g.packRows(w, dst, a.New[1].at(b, h, 0), a.S, a.Past, a.S, a.E, a.New[1].Row)
}

// key is where row r of a head's keys is read.
func (a *Attention) key(b, h, r int) Ptr {
	if a.New[0].P != nil && r >= a.Past {
		return a.New[0].at(b, h, r-a.Past)
	}
	return a.K.at(b, h, r)
}

// put copies a head's new rows to their places.
func (a *Attention) put(b, h int) {
	for i, v := range []*View{&a.K, &a.V} {
		if a.New[i].P == nil {
			continue
		}
		for r := a.Past; r < a.S; r++ {
			copyBytes(v.at(b, h, r), a.New[i].at(b, h, r-a.Past), a.width(i)*4)
		}
	}
}

// putAll is the copy of all heads' new rows to their places.
func (a *Attention) putAll(i int, v *View) Move {
	from, to := &a.New[i], At(v.P, a.Past*v.Row*4)
	return Move{Rank: 4, Size: 4, Dims: [maxAxes]int{a.Batch, a.Heads / a.group(), a.S - a.Past, a.width(i)},
		From: from.P, SF: [maxAxes]int{from.Batch * 4, from.Head * 4, from.Row * 4, 4}, To: to, ST: [maxAxes]int{v.Batch * 4, v.Head * 4, v.Row * 4, 4}}
}

// width is the size of a key (i = 0) or of a value.
func (a *Attention) width(i int) int { return []int{a.D, a.E}[i] }

// headRows does rows r0 … r1 of a head.
func (s *Session) headRows(w *worker, p *headPanels, b, h, r0, r1 int) {
	a := &s.att
	for r, n := r0, 0; r < r1; r += n {
		n = min(p.rows, r1-r)
		s.scores(w, p, n, a.Q.at(b, h, r))
		s.softmax(w, p, b, h, r, n)
		s.weigh(w, p, n, a.Out.at(b, h, r))
	}
}

// headPanels are one head's keys [panel][D][16] and values [panel][S][16], and room for the scores of some rows, ld floats each.
type headPanels struct {
	keys, values, scores []float32
	ld, rows             int
}

// panels is room for a head's, with scores for some rows.
func (a *Attention) panels(w *worker, rows int) (p headPanels) {
	sp, ep := CeilDiv(a.S, Lanes), CeilDiv(a.E, Lanes)
	p.rows, p.ld = rows, sp*Lanes+Lanes // one vector more than a multiple, so that rows do not fall on one cache set
	keys, values := sp*Lanes*a.D, ep*Lanes*a.S
	mem := w.scratchFor(keys + values + rows*p.ld)
	p.keys, p.values, p.scores = mem[:keys], mem[keys:keys+values], mem[keys+values:]
	return p
}

// scores are those of n rows of a head.
func (s *Session) scores(w *worker, p *headPanels, n int, q Ptr) {
	a := &s.att
	t := Tile{K: a.D, A: q, LDA: a.Q.Row * 4, C: p.row(0), LDC: p.ld * 4}
	t.B, t.BStep = p.keyPanels(a)
	s.k.Gemm.block(w, &t, a.S, 0, n, 0, CeilDiv(a.S, Lanes))
}

// softmax is that of the first n rows of the scores, which are a head's from row r on. b is the mask's batch entry.
func (s *Session) softmax(w *worker, p *headPanels, b, h, r, n int) {
	a := &s.att
	s.eachRow(w, a.Softmax, a.S, n, func(i int, bufs *Ptrs) {
		bufs[0], bufs[1] = p.row(i), p.row(i)
		if a.Mask.P != nil {
			bufs[1], bufs[2] = a.Mask.at(b, h, r+i), p.row(i)
		}
	})
}

// weigh is the product of n rows of the scores with the values.
func (s *Session) weigh(w *worker, p *headPanels, n int, out Ptr) {
	a := &s.att
	t := Tile{K: a.S, A: p.row(0), LDA: p.ld * 4, C: out, LDC: a.Out.Row * 4}
	t.B, t.BStep = p.valuePanels(a)
	s.k.Gemm.block(w, &t, a.E, 0, n, 0, CeilDiv(a.E, Lanes))
}

// keyPanels and valuePanels are where the panels begin, and how many bytes are from one to the next.
func (p *headPanels) keyPanels(a *Attention) (Ptr, int) {
	return Ptr(unsafe.SliceData(p.keys)), a.D * Lanes * 4
}

func (p *headPanels) valuePanels(a *Attention) (Ptr, int) {
	return Ptr(unsafe.SliceData(p.values)), a.S * Lanes * 4
}

// row is where a row of the scores is.
func (p *headPanels) row(i int) Ptr { return At(Ptr(unsafe.SliceData(p.scores)), i*p.ld*4) }
