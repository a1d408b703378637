package rt

import "unsafe"

// Recurrent runs one direction of a recurrent layer: at every step a product of the state with R, and row kernels on the gates.
type Recurrent struct {
	Kind                 byte // 'l' for LSTM, 'g' for GRU, 'r' for RNN
	Steps, Batch, Hidden int
	Reverse, Panels      bool // Panels: R is packed for Linear
	After                bool // a GRU's reset gate applies after the product
	Cell, Reset          int  // row kernels
	X, R                 Ptr
	H0, C0, Peep         Ptr // or nil
	Bias, Mask           Ptr // or nil
	Y, H, C              Ptr // results; H and C hold the state meanwhile
	G, RH, Packed        Ptr // room for the gates, for a GRU's reset state, for packing
}

var gateCount = map[byte]int{'l': 4, 'g': 3, 'r': 1}

// Recurrent runs the layer.
func (s *Session) Recurrent(r Recurrent) {
	s.enter()
	state := r.Batch * r.Hidden * 4
	for _, v := range [2][2]Ptr{{r.H, r.H0}, {r.C, r.C0}} {
		if v[1] != nil {
			copyBytes(v[0], v[1], state)
		} else {
			clear(unsafe.Slice((*byte)(v[0]), state))
		}
	}
	s.leave(0)
	for k := range r.Steps {
		if r.Reverse {
			k = r.Steps - 1 - k
		}
		s.recurrentStep(&r, k)
	}
}

func (s *Session) recurrentStep(r *Recurrent, k int) {
	gates := gateCount[r.Kind]
	wide := gates * r.Hidden
	x := At(r.X, k*r.Batch*wide*4)
	var res Ptr
	if r.Kind != 'g' {
		res = x
	}
	s.recurrentProduct(r, r.H, wide, r.G, res)
	n := Rows{Kernel: r.Cell, Rank: 2}
	n.Dims[0], n.Dims[1] = r.Batch, r.Hidden
	gate := func(p Ptr, i int) { n.add(At(p, i*r.Hidden*4), wide*4, 4) }
	switch r.Kind {
	case 'l':
		for i := range 4 {
			gate(r.G, i)
		}
		n.add(r.C, r.Hidden*4, 4)
		for i := range 3 {
			if r.Peep != nil {
				n.add(At(r.Peep, i*r.Hidden*4), 0, 4)
			}
		}
	case 'g':
		if !r.After {
			s.resetState(r, x, wide)
		}
		gate(x, 0)
		gate(r.G, 0)
		gate(x, 2)
		gate(r.G, 2)
		if r.After {
			gate(x, 1)
			gate(r.G, 1)
		}
		if r.Bias != nil {
			n.add(r.Bias, 0, 4)
		}
	default:
		gate(r.G, 0)
	}
	n.add(r.H, r.Hidden*4, 4)
	n.add(At(r.Y, k*r.Batch*r.Hidden*4), r.Hidden*4, 4)
	if r.Mask != nil {
		n.add(At(r.Mask, k*r.Batch*4), 4, 0)
	}
	s.Rows(n)
}

// resetState makes the third gate's product anew, from the state times the reset gate.
func (s *Session) resetState(r *Recurrent, x Ptr, wide int) {
	n := Rows{Kernel: r.Reset, Rank: 2}
	n.Dims[0], n.Dims[1] = r.Batch, r.Hidden
	n.add(At(x, r.Hidden*4), wide*4, 4)
	n.add(At(r.G, r.Hidden*4), wide*4, 4)
	n.add(r.H, r.Hidden*4, 4)
	n.add(r.RH, r.Hidden*4, 4)
	s.Rows(n)
	// The whole product is cheap beside its clarity: the first two gates come out as they would from the reset state, into room of their own.
	s.recurrentProduct(r, r.RH, wide, At(r.G, r.Batch*wide*4), nil)
	m := Move{Rank: 2, Size: 4, From: At(r.G, (r.Batch*wide+2*r.Hidden)*4), To: At(r.G, 2*r.Hidden*4)}
	m.Dims[0], m.Dims[1] = r.Batch, r.Hidden
	m.SF[0], m.SF[1], m.ST[0], m.ST[1] = wide*4, 4, wide*4, 4
	s.Move(m)
}

func (n *Rows) add(p Ptr, row, col int) {
	n.P[n.Bufs] = p
	n.Stride[n.Bufs][0], n.Stride[n.Bufs][1] = row, col
	n.Bufs++
}

// recurrentProduct is c = a R + res for all gates.
func (s *Session) recurrentProduct(r *Recurrent, a Ptr, wide int, c, res Ptr) {
	if r.Panels {
		s.Linear(Linear{M: r.Batch, N: wide, K: r.Hidden, A: a, W: r.R, Res: res, C: c, Act: -1})
		return
	}
	s.MatMul(MatMul{Batch: [3]int{1, 1, 1}, M: r.Batch, N: wide, K: r.Hidden, A: a, B: r.R, C: c, Packed: r.Packed})
	if res == nil {
		return
	}
	s.enter()
	p, q := unsafe.Slice((*float32)(c), r.Batch*wide), unsafe.Slice((*float32)(res), r.Batch*wide)
	for i := range p {
		p[i] += q[i]
	}
	s.leave(0)
}
