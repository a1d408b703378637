package rt

import "unsafe"

// Bytes is C[M, N] = (A[M, K] - zero) W + Bias over integers of 32 bits, which wrap, as f32 or, if Integers is set, as i32. A is f32 that holds
// whole numbers from Lo to Lo + 255. W is of i8, packed in panels [n/16][k/4][16][4] with zeros behind the last row: four steps of k are one
// word of a lane. Rows of A become bytes in Packed, and More of their columns, those that Again names, come a second time: W has K + More
// rows. Since they are stored less their least number, and zero points are the same for a whole row, what is left to add is one number a
// column, in Start: Sums are the sums of W's columns.
type Bytes struct {
	M, N, K         int
	A, W, Sums, C   Ptr
	Zero            Ptr // of one f32; nil for 0
	Bias            Ptr // of N i32; nil for none
	More            int
	Again           Ptr // of More i32
	Lo              int
	Integers        bool
	Row             int // bytes from one row of A to the next; 0 if they follow each other
	Packed, Start   Ptr // M * CeilDiv(K + More, 4) words, N words
	cuts            Linear
	least, rowsEach int
}

// Narrow is one call of a kernel that makes bytes of f32: To[i] = From[i] - Lo for N elements, a multiple of 16. From holds whole numbers, and
// the differences fit. The kernels read the fields at these offsets.
type Narrow struct {
	From, To Ptr // 0, 8
	N, Lo    int // 16, 24
}

// Bytes runs the layer.
func (s *Session) Bytes(b Bytes) {
	if b.M == 0 {
		return
	}
	s.bytes = b
	n, g := &s.bytes, s.k.Gemm.Bytes
	if n.Row == 0 {
		n.Row = n.K * 4
	}
	if s.dev != nil && s.dev.Bytes(n) {
		return
	}
	s.enter()
	n.start(g.Signed)
	n.rowsEach = max(1, rowTask/max(n.K, 1))
	s.parallel(CeilDiv(n.M, n.rowsEach), s.task.narrow)
	n.cuts = Linear{M: n.M, N: n.N, K: n.words()}
	n.cuts.cut(g.Rows, g.Panels, s.threads(), rowsBytes)
	s.parallel(n.cuts.blocks()*n.cuts.groups(), s.task.bytes)
	s.leave(2 * b.M * b.N * b.K)
}

// ByteConv is a Bytes on the windows of Image, whose Linear stays empty, one row a window, as Conv is a Linear. Packed has room for a byte of
// each element of the image.
type ByteConv struct {
	Bytes Bytes
	Image Conv

	joined bool // four channels are one word: windows are made of the image's bytes
	edge   edge
}

// ByteConv runs the layer.
func (s *Session) ByteConv(l ByteConv) {
	if l.Bytes.M == 0 {
		return
	}
	s.byteConv = l
	n, c, g := &s.byteConv.Bytes, &s.byteConv.Image, s.k.Gemm.Bytes
	c.K, c.M = n.K, n.M
	if s.dev != nil && s.byteConvOnDevice(n, c) {
		return
	}
	s.enter()
	n.start(g.Signed)
	if s.byteConv.joined = c.Channels%4 == 0; s.byteConv.joined {
		elements := c.Batch * c.In[0] * c.In[1] * c.In[2] * c.Channels
		s.bytes = Bytes{M: CeilDiv(elements, rowTask), N: elements, A: c.X, Packed: n.Packed, least: n.least}
		s.parallel(s.bytes.M, s.task.narrowImage)
		c.X, c.Channels, c.K = n.Packed, c.Channels/4, n.K/4
		c.edge = &s.byteConv.edge
		for i := range c.edge {
			*(*uint32)(Ptr(&c.edge[i])) = uint32(byte(-n.least)) * 0x01010101
		}
	}
	n.cuts = Linear{M: n.M, N: n.N, K: n.words()}
	n.cuts.cut(g.Rows, g.Panels, s.threads(), patchBytes)
	s.parallel(n.cuts.blocks()*n.cuts.groups(), s.task.byteConv)
	s.leave(2 * n.M * n.N * n.K)
}

// byteConvOnDevice makes all the rows in memory of the device; false if the device does not take the layer.
func (s *Session) byteConvOnDevice(n *Bytes, c *Conv) bool {
	rows, ok := s.windowsOnDevice(c, n.M*n.words()*4)
	if !ok {
		return false
	}
	layer := *n
	layer.A, layer.Row, layer.Packed = rows, n.K*4, At(rows, n.M*n.K*4)
	return s.dev.Bytes(&layer)
}

// narrowImageTask makes bytes of some of the N elements of an image.
func (s *Session) narrowImageTask(worker, i int) {
	n, at := &s.bytes, i*rowTask
	s.narrowed(&s.workers[worker], At(n.A, at*4), At(n.Packed, at), min(rowTask, n.N-at), n.least)
}

func (s *Session) byteConvTask(worker, i int) {
	l, w := &s.byteConv, &s.workers[worker]
	n, c := &l.Bytes, &l.Image
	r0, r1, p0, p1 := n.cuts.part(i)
	size, words := (r1-r0)*c.K+Lanes, n.words()
	a := w.scratchFor(size + (r1-r0)*words)
	c.pack(r0, r1, a[:size])
	if l.joined && n.More == 0 {
		n.rows(s, w, Ptr(unsafe.SliceData(a)), r0, r1, p0, p1)
		return
	}
	rows := a[size:]
	for r := range r1 - r0 {
		to := rows[r*words : (r+1)*words]
		if l.joined {
			copy(to, a[r*c.K:(r+1)*c.K])
		} else {
			s.narrowed(w, Ptr(&a[r*n.K]), Ptr(unsafe.SliceData(to)), n.K, n.least)
		}
		n.repeat(Ptr(unsafe.SliceData(to)))
	}
	n.rows(s, w, Ptr(unsafe.SliceData(rows)), r0, r1, p0, p1)
}

// repeat puts the columns that come a second time behind a row of bytes.
func (n *Bytes) repeat(row Ptr) {
	bytes := unsafe.Slice((*byte)(row), n.K+n.More)
	for j, c := range unsafe.Slice((*int32)(n.Again), n.More) {
		bytes[n.K+j] = bytes[c]
	}
}

// words is how many words of four bytes a row of A takes.
func (n *Bytes) words() int { return CeilDiv(n.K+n.More, 4) }

// start makes what each column's sum of products is added to; signed are the kernels whose bytes of A are.
func (n *Bytes) start(signed bool) {
	n.least = n.Lo
	if signed {
		n.least += 128
	}
	start, sums := unsafe.Slice((*int32)(n.Start), n.N), unsafe.Slice((*int32)(n.Sums), n.N)
	less := int32(n.least)
	if n.Zero != nil {
		less -= int32(*(*float32)(n.Zero))
	}
	for i := range start {
		start[i] = less * sums[i]
	}
	if n.Bias == nil {
		return
	}
	for i, b := range unsafe.Slice((*int32)(n.Bias), n.N) {
		start[i] += b
	}
}

// narrowTask makes bytes of some rows.
func (s *Session) narrowTask(worker, i int) {
	n, w := &s.bytes, &s.workers[worker]
	for r := i * n.rowsEach; r < min(n.M, (i+1)*n.rowsEach); r++ {
		to := At(n.Packed, r*n.words()*4)
		s.narrowed(w, At(n.A, r*n.Row), to, n.K, n.least)
		n.repeat(to)
	}
}

// narrowed makes bytes of n elements.
func (s *Session) narrowed(w *worker, from, to Ptr, n, least int) {
	w.narrow = Narrow{From: from, To: to, N: n &^ 15, Lo: least}
	callNarrow(s.k.Gemm.Bytes.Narrow, &w.narrow)
	if rest := n & 15; rest > 0 {
		w.narrow = Narrow{From: At(from, (n-rest)*4), To: At(to, n-rest), N: rest, Lo: least}
		NarrowGo(&w.narrow)
	}
}

func (s *Session) bytesTask(worker, i int) {
	n := &s.bytes
	r0, r1, p0, p1 := n.cuts.part(i)
	n.rows(s, &s.workers[worker], At(n.Packed, r0*n.words()*4), r0, r1, p0, p1)
}

// rows does rows r0 … r1 of panels p0 … p1; a is the first of the rows, as bytes.
func (n *Bytes) rows(s *Session, w *worker, a Ptr, r0, r1, p0, p1 int) {
	t := Tile{K: n.words(), A: a, LDA: n.words() * 4, B: n.W, BStep: n.words() * Lanes * 4,
		C: At(n.C, r0*n.N*4), LDC: n.N * 4, Bias: n.Start, Relu: b2i(n.Integers)}
	s.k.Gemm.Bytes.block(w, &t, n.N, 0, r1-r0, p0, p1)
}

// NarrowGo is the kernel in plain Go, for any number of elements.
func NarrowGo(n *Narrow) {
	from, to := unsafe.Slice((*float32)(n.From), n.N), unsafe.Slice((*byte)(n.To), n.N)
	for i, x := range from {
		to[i] = byte(int32(x) - int32(n.Lo))
	}
}

// ByteTileGo is the tile kernel of Bytes in plain Go, for any number of rows and panels: A of u8, K words of four steps.
func ByteTileGo(t *Tile) {
	for p := range t.Cols {
		cols := Lanes
		if p == t.Cols-1 {
			for cols = 0; t.Mask>>cols&1 != 0; cols++ {
			}
		}
		b := unsafe.Slice((*int8)(At(t.B, p*t.BStep)), t.K*Lanes*4)
		for r := range t.Rows {
			t.byteRowGo(r, p, cols, b)
		}
	}
}

func (t *Tile) byteRowGo(r, p, cols int, b []int8) {
	var acc [Lanes]int32
	a := unsafe.Slice((*byte)(At(t.A, r*t.LDA)), t.K*4)
	for k := 0; k < len(a); k += 4 {
		x0, x1, x2, x3 := int32(a[k]), int32(a[k+1]), int32(a[k+2]), int32(a[k+3])
		word := b[k*Lanes : (k+4)*Lanes]
		for i := range acc {
			acc[i] += x0*int32(word[4*i]) + x1*int32(word[4*i+1]) + x2*int32(word[4*i+2]) + x3*int32(word[4*i+3])
		}
	}
	c := At(t.C, r*t.LDC+p*Lanes*4)
	start := unsafe.Slice((*int32)(At(t.Bias, p*Lanes*4)), cols)
	for i, s := range start {
		if s += acc[i]; t.Relu != 0 {
			*(*int32)(At(c, i*4)) = s
		} else {
			*(*float32)(At(c, i*4)) = float32(s)
		}
	}
}

// BytesOf picks the kernels of bytes: the first ones where the CPU has what they need.
func BytesOf(has bool, first, others *Gemm) *Gemm {
	if has {
		return first
	}
	return others
}

// goBytes are the kernels of Bytes in plain Go.
var goBytes = func() *Gemm {
	g := &Gemm{Rows: 8, Panels: 2, Deep: true, Narrow: NarrowGo}
	for range g.Rows + 1 {
		g.Tiles = append(g.Tiles, []func(*Tile){ByteTileGo, ByteTileGo, ByteTileGo})
	}
	return g
}()
