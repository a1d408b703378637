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
}

// Attention runs the operator.
func (s *Session) Attention(a Attention) {
	s.att = a
	if s.dev != nil && s.dev.Attention(&s.att) {
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

// attentionTask does some rows of one head: the keys and values go into panels, then for a few rows at a time the scores, their
// softmax and the product with the values stay in the cache.
func (s *Session) attentionTask(worker, i int) {
	a, w, g := &s.att, &s.workers[worker], &s.k.Gemm
	parts := a.splits(s.threads())
	part := i % parts
	b, h := i/parts/a.Heads, i/parts%a.Heads
	sp, ep := (a.S+Lanes-1)/Lanes, (a.E+Lanes-1)/Lanes
	ld := sp*Lanes + Lanes // one vector more than a multiple, so that rows do not fall on one cache set
	step := g.Rows * 2
	mem := w.scratchFor(sp*Lanes*a.D + ep*Lanes*a.S + step*ld)
	kp, rest := mem[:sp*Lanes*a.D], mem[sp*Lanes*a.D:]
	vp, scores := rest[:ep*Lanes*a.S], rest[ep*Lanes*a.S:]
	packKeys(kp, a.K.at(b, h, 0), a.S, a.D, a.K.Row)
	Pack(vp, a.V.at(b, h, 0), a.S, a.E, a.V.Row, 1)
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
			w.ptrs[1], w.ptrs[2] = a.Mask.at(b, h, r+i), row
		} else {
			w.ptrs[1] = row
		}
		callRow(kernel, a.S, &w.ptrs)
	}
}

// packKeys lays rows of keys out as the columns of panels: the transposed matrix, [panel][d][16].
func packKeys(dst []float32, src Ptr, s, d, stride int) {
	for p := 0; p < s; p += Lanes {
		panel := dst[p*d : (p+Lanes)*d]
		for c := range Lanes {
			if p+c >= s {
				for j := range d {
					panel[j*Lanes+c] = 0
				}
				continue
			}
			row := unsafe.Slice((*float32)(At(src, (p+c)*stride*4)), d)
			for j, x := range row {
				panel[j*Lanes+c] = x
			}
		}
	}
}
