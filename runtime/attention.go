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

	// Windows, if not 0, is how many batch entries, windows of an image, share one stretch of Q, K, V and Out: row r of window n is row
	// Rows[n*M+r], an int64, of the image. Batch strides are of images then, the mask's of windows; M is S.
	Windows int
	Rows    Ptr
	Around  [2]Ptr // a row of K and V where Rows has -1: what windows have around the image
}

// Attention runs the operator.
func (s *Session) Attention(a Attention) {
	s.att = a
	if s.dev != nil && a.Windows == 0 && s.dev.Attention(&s.att) {
		return
	}
	s.enter()
	if a.M*a.S > 0 {
		s.parallel(a.Batch*a.Heads*a.splits(s.threads()), s.task.att)
	}
	s.leave(2 * a.Batch * a.Heads * a.M * a.S * (a.D + a.E))
}

// splits is into how many parts the rows of one head are cut, so that every thread has work.
func (a *Attention) splits(threads int) int {
	n := a.Batch * a.Heads
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

// windowTask is attentionTask for one head of one window. Rows of the window that follow each other in the image, a line of it, are worked on
// together where they are, so that nothing is shifted, partitioned or put together again in memory (Liu et al., 2021). Rows around the
// image are keys and values alone.
func (s *Session) windowTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	parts := a.splits(s.threads())
	if i%parts != 0 {
		return // a window is too small to be cut
	}
	b, h := i/parts/a.Heads, i/parts%a.Heads
	image, window := b/a.Windows, b%a.Windows
	rows := unsafe.Slice((*int64)(At(a.Rows, window*a.M*8)), a.M)
	p := a.panels(w, 2*g.Rows)
	g.packWindow(w, a, p.keys, p.values, rows, image, h)
	for r, n := 0, 0; r < a.M; r += n {
		n = inLine(rows[r:], 2*g.Rows)
		if at := int(rows[r]); at >= 0 {
			s.attend(w, &p, window, h, r, n, a.Q.at(image, h, at), a.Out.at(image, h, at))
		}
	}
}

// inLine is how many of some rows, at most most, follow each other in the image.
func inLine(rows []int64, most int) int {
	n := 1
	for n < min(most, len(rows)) && rows[n-1] >= 0 && rows[n] == rows[n-1]+1 {
		n++
	}
	return n
}

// packWindow packs a window's keys and values.
func (g *Gemm) packWindow(w *worker, a *Attention, kp, vp []float32, rows []int64, image, h int) {
	for p := 0; p < len(rows); p += Lanes {
		n := min(Lanes, len(rows)-p)
		for c, at := range rows[p : p+n] {
			w.panel.From[c] = a.row(&a.K, a.Around[0], image, h, at)
		}
		g.columns(w, kp[p*a.D:(p+Lanes)*a.D], n)
	}
	clear(vp[(len(vp)/(Lanes*a.S)-1)*Lanes*a.S:])
	for r, at := range rows {
		v := a.row(&a.V, a.Around[1], image, h, at)
		for e := 0; e < a.E; e += Lanes {
			to := vp[(e/Lanes*a.S+r)*Lanes:][:Lanes]
			if e+Lanes <= a.E {
				*(*[Lanes]float32)(to) = *(*[Lanes]float32)(At(v, e*4))
				continue
			}
			copy(to, unsafe.Slice((*float32)(At(v, e*4)), a.E-e))
		}
	}
}

// attentionTask does some rows of one head: the keys and values go into panels, then for a few rows at a time the scores, their
// softmax and the product with the values stay in the cache.
func (s *Session) attentionTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	if a.Windows > 0 {
		s.windowTask(worker, i)
		return
	}
	parts := a.splits(s.threads())
	part := i % parts
	b, h := i/parts/a.Heads, i/parts%a.Heads
	step := g.Rows * 2
	p := a.panels(w, step)
	g.packKeys(w, p.keys, a.K.at(b, h, 0), a.S, a.D, a.K.Row)
	g.pack(w, p.values, a.V.at(b, h, 0), a.S, a.E, a.V.Row)
	r1 := a.M * (part + 1) / parts
	for r := a.M * part / parts; r < r1; r += step {
		s.attend(w, &p, b, h, r, min(step, r1-r), a.Q.at(b, h, r), a.Out.at(b, h, r))
	}
}

// headPanels are one head's keys [panel][D][16] and values [panel][S][16], and room for the scores of a few rows, ld floats each.
type headPanels struct {
	keys, values, scores []float32
	ld                   int
}

// panels is room for a head's, with scores for some rows.
func (a *Attention) panels(w *worker, rows int) (p headPanels) {
	sp, ep := CeilDiv(a.S, Lanes), CeilDiv(a.E, Lanes)
	p.ld = sp*Lanes + Lanes // one vector more than a multiple, so that rows do not fall on one cache set
	keys, values := sp*Lanes*a.D, ep*Lanes*a.S
	mem := w.scratchFor(keys + values + rows*p.ld)
	p.keys, p.values, p.scores = mem[:keys], mem[keys:keys+values], mem[keys+values:]
	return p
}

// attend does n rows of a head from row r on: their scores, the softmax, the product with the values. b is the mask's batch entry.
func (s *Session) attend(w *worker, p *headPanels, b, h, r, n int, q, out Ptr) {
	a, g := &s.att, &s.k.Gemm
	scores := Ptr(unsafe.SliceData(p.scores))
	t := Tile{K: a.D, A: q, LDA: a.Q.Row * 4, B: Ptr(unsafe.SliceData(p.keys)), BStep: a.D * Lanes * 4, C: scores, LDC: p.ld * 4}
	g.block(w, &t, a.S, 0, n, 0, CeilDiv(a.S, Lanes))
	kernel := s.k.Rows[a.Softmax]
	for i := range n {
		row := At(scores, i*p.ld*4)
		w.ptrs[0], w.ptrs[1] = row, row
		if a.Mask.P != nil {
			w.ptrs[1], w.ptrs[2] = a.Mask.at(b, h, r+i), row
		}
		callRow(kernel, a.S, &w.ptrs)
	}
	t = Tile{K: a.S, A: scores, LDA: p.ld * 4, B: Ptr(unsafe.SliceData(p.values)), BStep: a.S * Lanes * 4, C: out, LDC: a.Out.Row * 4}
	g.block(w, &t, a.E, 0, n, 0, CeilDiv(a.E, Lanes))
}
