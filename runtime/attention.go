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
	Around  [3]Ptr // a row of Q, K and V where Rows has -1: what windows have around the image
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

// windowTask is attentionTask for one head of one window: the window's rows are gathered from the image and the result's rows go back to
// where they came from, so that nothing is shifted, partitioned or put together again in memory (Liu et al., 2021).
func (s *Session) windowTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	parts := a.splits(s.threads())
	if i%parts != 0 {
		return // a window is too small to be cut
	}
	b, h := i/parts/a.Heads, i/parts%a.Heads
	image, window := b/a.Windows, b%a.Windows
	rows := unsafe.Slice((*int64)(At(a.Rows, window*a.M*8)), a.M)
	sp, ep := (a.S+Lanes-1)/Lanes, (a.E+Lanes-1)/Lanes
	ld := sp*Lanes + Lanes
	qn, kn, vn := a.M*a.D, sp*Lanes*a.D, ep*Lanes*a.S
	mem := w.scratchFor(qn + kn + vn + a.M*(ld+ep*Lanes))
	q, kp, vp := mem[:qn], mem[qn:qn+kn], mem[qn+kn:qn+kn+vn]
	scores := mem[qn+kn+vn : qn+kn+vn+a.M*ld]
	out := mem[qn+kn+vn+a.M*ld:]
	for r, at := range rows {
		copy(q[r*a.D:(r+1)*a.D], unsafe.Slice((*float32)(a.row(&a.Q, a.Around[0], image, h, at)), a.D))
	}
	g.packWindow(w, a, kp, vp, rows, image, h)
	t := Tile{K: a.D, A: Ptr(unsafe.SliceData(q)), LDA: a.D * 4, B: Ptr(unsafe.SliceData(kp)), BStep: a.D * Lanes * 4,
		C: Ptr(unsafe.SliceData(scores)), LDC: ld * 4}
	g.block(w, &t, a.S, 0, a.M, 0, sp)
	s.softmaxRows(w, b, h, 0, a.M, ld, scores)
	t = Tile{K: a.S, A: Ptr(unsafe.SliceData(scores)), LDA: ld * 4, B: Ptr(unsafe.SliceData(vp)), BStep: a.S * Lanes * 4,
		C: Ptr(unsafe.SliceData(out)), LDC: ep * Lanes * 4}
	g.block(w, &t, a.E, 0, a.M, 0, ep)
	for r, at := range rows {
		if at >= 0 {
			copy(unsafe.Slice((*float32)(a.Out.at(image, h, int(at))), a.E), out[r*ep*Lanes:])
		}
	}
}

// packWindow packs a window's keys and values.
func (g *Gemm) packWindow(w *worker, a *Attention, kp, vp []float32, rows []int64, image, h int) {
	for p := 0; p < len(rows); p += Lanes {
		n := min(Lanes, len(rows)-p)
		for c, at := range rows[p : p+n] {
			w.panel.From[c] = a.row(&a.K, a.Around[1], image, h, at)
		}
		g.columns(w, kp[p*a.D:(p+Lanes)*a.D], n)
	}
	clear(vp[(len(vp)/(Lanes*a.S)-1)*Lanes*a.S:])
	for r, at := range rows {
		v := a.row(&a.V, a.Around[2], image, h, at)
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
	sp, ep := (a.S+Lanes-1)/Lanes, (a.E+Lanes-1)/Lanes
	ld := sp*Lanes + Lanes // one vector more than a multiple, so that rows do not fall on one cache set
	step := g.Rows * 2
	mem := w.scratchFor(sp*Lanes*a.D + ep*Lanes*a.S + step*ld)
	kp, rest := mem[:sp*Lanes*a.D], mem[sp*Lanes*a.D:]
	vp, scores := rest[:ep*Lanes*a.S], rest[ep*Lanes*a.S:]
	g.packKeys(w, kp, a.K.at(b, h, 0), a.S, a.D, a.K.Row)
	g.pack(w, vp, a.V.at(b, h, 0), a.S, a.E, a.V.Row)
	r1 := a.M * (part + 1) / parts
	for r := a.M * part / parts; r < r1; r += step {
		n := min(step, r1-r)
		t := Tile{K: a.D, A: a.Q.at(b, h, r), LDA: a.Q.Row * 4, B: Ptr(unsafe.SliceData(kp)), BStep: a.D * Lanes * 4,
			C: Ptr(unsafe.SliceData(scores)), LDC: ld * 4}
		g.block(w, &t, a.S, 0, n, 0, sp)
		s.softmaxRows(w, b, h, r, n, ld, scores)
		t = Tile{K: a.S, A: Ptr(unsafe.SliceData(scores)), LDA: ld * 4, B: Ptr(unsafe.SliceData(vp)), BStep: a.S * Lanes * 4,
			C: a.Out.at(b, h, r), LDC: a.Out.Row * 4}
		g.block(w, &t, a.E, 0, n, 0, ep)
	}
}

func (s *Session) softmaxRows(w *worker, b, h, r, n, ld int, scores []float32) {
	a := &s.att
	kernel := s.k.Rows[a.Softmax]
	for i := range n {
		row := Ptr(&scores[i*ld])
		w.ptrs[0] = row
		if a.Mask.P != nil {
			if a.Windows > 0 {
				b %= a.Windows
			}
			w.ptrs[1], w.ptrs[2] = a.Mask.at(b, h, r+i), row
		} else {
			w.ptrs[1] = row
		}
		callRow(kernel, a.S, &w.ptrs)
	}
}
