package rt

import "unsafe"

// Coded says how the weights of a layer are written where they are no f32: numbers q of Bits bits, 4 or 8, that stand for (q - zero) scale.
// Panels follow each other, Block steps of k after Block steps, each with sixteen zeros of a byte and sixteen scales of its own before
// its numbers. Of 4 bits, a byte holds a column's numbers of two steps, the first one low. Numbers of 16 bits have neither zeros nor
// scales: they are the upper halves of f32 or, with Half, f16.
type Coded struct {
	Bits, Block int
	Half        bool
}

// Codings is how many ways there are to write weights; Coding numbers them.
const Codings = 4

// Coding is 0 for 4 bits, 1 for 8, 2 for upper halves and 3 for f16.
func (c *Coded) Coding() int {
	switch {
	case c.Half:
		return 3
	case c.Bits == 16:
		return 2
	case c.Bits == 8:
		return 1
	}
	return 0
}

// CodedKernels are those for one way to write weights: what makes f32 of blocks, and tile kernels for few rows, up to their Rows, that multiply
// with them as they are: an even number of steps, B at the first block, Coded set; nil if there are none.
type CodedKernels struct {
	Unpack func(*Unpack)
	Few    *Gemm
}

// head is the bytes of a block's zeros and scales.
const head = Lanes + Lanes*4

// size is the bytes of a block.
func (c *Coded) size() int {
	n := c.Block * Lanes * c.Bits / 8
	if c.Bits < 16 {
		n += head
	}
	return n
}

// Step is the bytes of a panel of k steps.
func (c *Coded) Step(k int) int { return CeilDiv(k, c.Block) * c.size() }

// depth is how many steps of k are made f32 at once: as many as stay in the first-level cache until a few rows are multiplied with them, more
// for many rows, which would otherwise pause often to add to C.
func (c *Coded) depth(runs int) int {
	const few = 128
	most := 8
	if c.Bits == 16 {
		most = 2 // of which tiles prefetch the next ones
	}
	return max(1, few*min(runs, most)/c.Block) * c.Block
}

// Unpack is one call of a kernel that makes f32 of blocks of a panel that follow each other. The kernels read the fields at these offsets.
type Unpack struct {
	From   Ptr // 0
	To     Ptr // 8: sixteen f32 for each step of k
	Blocks int // 16
	Rows   int // 24: steps of a block, an even number
	Ahead  int // 32: how many bytes further on what will be read next begins; kernels may prefetch it
}

// unpacked makes f32 of np panels from p on, from step k on, for a tile. It gives the bytes of a step of the panels to come if the tile is to
// prefetch these, which must lie as far apart as those it multiplies with; else 0, and the kernel does.
func (g *Gemm) unpacked(w *worker, t, u *Tile, k, p, np int) (line int) {
	c := t.Coded
	w.unpack.Blocks, w.unpack.Rows = CeilDiv(u.K, c.Block), c.Block
	u.BStep = w.unpack.Blocks * c.Block * Lanes * 4
	switch {
	case c.Bits == 16 && u.BStep <= t.BStep:
		u.BStep, line, w.unpack.Ahead = t.BStep, Lanes*2, 0
	case k+u.K < t.K:
		w.unpack.Ahead = w.unpack.Blocks * c.size()
	default:
		w.unpack.Ahead = np*t.BStep - k/c.Block*c.size() // the next panels
	}
	u.B = Ptr(unsafe.SliceData(w.floats(np * u.BStep / 4)))
	kernel := g.Coded[c.Coding()].Unpack
	for i := range np {
		w.unpack.From = At(t.B, (p+i)*t.BStep+k/c.Block*c.size())
		w.unpack.To = At(u.B, i*u.BStep)
		callUnpack(kernel, &w.unpack)
	}
	return line
}

// few is the tile kernels for rows that are so few that they do not want their weights unpacked; nil if there are none.
func (g *Gemm) few(t *Tile, runs []run) *Gemm {
	few := g.Coded[t.Coded.Coding()].Few
	if few == nil || t.K%2 != 0 || len(runs) != 1 || runs[0].n > few.Rows {
		return nil
	}
	return few
}

// coded does the product of a run of rows with coded panels p0 … p1, all steps of k at once.
func (g *Gemm) coded(w *worker, t *Tile, n int, r run, p0, p1 int) {
	for p, np := p0, 0; p < p1; p += np {
		np = min(len(g.Tiles[r.n])-1, p1-p)
		u := t.part(w, 0, t.K, p, np, n)
		u.B, u.A, u.C, u.Rows = At(t.B, p*t.BStep), At(t.A, r.a*t.LDA), At(u.C, r.c), r.n
		if u.Res != nil {
			u.Res = At(u.Res, r.res)
		}
		callTile(g.Tiles[r.n][np], u)
	}
}

// floats is room for what a worker unpacks, at a whole cache line.
func (w *worker) floats(n int) []float32 {
	if len(w.plain) < n+Lanes {
		w.plain = make([]float32, n+Lanes)
	}
	skip := (64 - int(uintptr(unsafe.Pointer(&w.plain[0]))&63)) / 4 % Lanes
	return w.plain[skip : skip+n]
}

//go:noinline
func callUnpack(f func(*Unpack), u *Unpack) { f(u) }

// codedGo are the kernels in plain Go.
var codedGo = [Codings]CodedKernels{
	{Unpack: func(u *Unpack) { u.blocks(4) }},
	{Unpack: func(u *Unpack) { u.blocks(8) }},
	{Unpack: func(u *Unpack) { u.halves(BF16ToF32) }},
	{Unpack: func(u *Unpack) { u.halves(F16ToF32) }},
}

func (u *Unpack) halves(value func(uint16) float32) {
	n := u.Blocks * u.Rows * Lanes
	from, to := unsafe.Slice((*uint16)(u.From), n), unsafe.Slice((*float32)(u.To), n)
	for i, h := range from {
		to[i] = value(h)
	}
}

func (u *Unpack) blocks(bits int) {
	c := Coded{Bits: bits, Block: u.Rows}
	to := unsafe.Slice((*float32)(u.To), u.Blocks*u.Rows*Lanes)
	for b := range u.Blocks {
		block := At(u.From, b*c.size())
		zeros, scales := unsafe.Slice((*uint8)(block), Lanes), unsafe.Slice((*float32)(At(block, Lanes)), Lanes)
		q := unsafe.Slice((*uint8)(At(block, head)), c.size()-head)
		for r := range u.Rows {
			out := to[(b*u.Rows+r)*Lanes:][:Lanes]
			for i := range out {
				n := q[r*bits/8*Lanes+i]
				if bits == 4 {
					n = n >> (r % 2 * 4) & 15
				}
				out[i] = float32(int(n)-int(zeros[i])) * scales[i]
			}
		}
	}
}
