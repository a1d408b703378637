package rt

import "unsafe"

// ByteMatMul is C[M, N] = (A[M, K] - za)(B[K, N] - zb) over integers of 32 bits, which wrap, for each of a batch, as f32 or, if Integers is set, as
// i32. A and B are f32 that hold whole numbers from LoA to LoA + 255 and from LoB to LoB + 255, laid out as a MatMul's. Both become bytes
// in Packed, less a number each, so that with a' = a - za - α and b' = b - zb - β the product is a'b' + α Σb' + β Σa' + K α β: what a
// column adds is what its products are added to, and what a row adds follows, where β is not 0.
type ByteMatMul struct {
	MatMul
	ZeroA, ZeroB Ptr // of one f32; nil for 0
	LoA, LoB     int
	Integers     bool // Packed has ByteMatMulRoom for each of the batch

	leastA, alpha, beta int
	rowBlocks           int
}

// ByteMatMulRoom is the bytes of Packed for one of the batch: rows of A, panels of B, what columns and rows add.
func ByteMatMulRoom(m, n, k int) int {
	panels, words := CeilDiv(n, Lanes), CeilDiv(k, 4)
	return 4 * (m + panels*Lanes) * (words + 1)
}

// byteRows is how many rows of a batch entry are one task.
const byteRows = 64

// ByteMatMul runs the product.
func (s *Session) ByteMatMul(b ByteMatMul) {
	s.byteMM = b
	m := &s.byteMM
	if s.dev != nil && s.dev.ByteMatMul(m) {
		return
	}
	s.enter()
	batch := m.Batch[0] * m.Batch[1] * m.Batch[2]
	if batch*m.M*m.N > 0 {
		m.leastA = m.LoA
		if s.k.Gemm.Bytes.Signed {
			m.leastA += 128
		}
		m.alpha, m.beta = m.leastA-whole(m.ZeroA), m.LoB+128-whole(m.ZeroB)
		m.rowBlocks = CeilDiv(m.M, byteRows)
		s.parallel(batch, s.task.bytePack)
		s.parallel(batch*m.rowBlocks, s.task.byteMM)
	}
	s.leave(2 * batch * m.M * m.N * m.K)
}

// whole is the whole number that an f32 holds; 0 without one.
func whole(p Ptr) int {
	if p == nil {
		return 0
	}
	return int(*(*float32)(p))
}

// parts are where a batch entry's rows of A, panels of B, what columns add and what rows add lie.
func (m *ByteMatMul) parts(i int) (a, b Ptr, cols, rows []int32) {
	words, wide := CeilDiv(m.K, 4), CeilDiv(m.N, Lanes)*Lanes
	a = At(m.Packed, i*ByteMatMulRoom(m.M, m.N, m.K))
	b = At(a, m.M*words*4)
	c := At(b, wide*words*4)
	return a, b, unsafe.Slice((*int32)(c), wide), unsafe.Slice((*int32)(At(c, wide*4)), m.M)
}

func (s *Session) bytePackTask(worker, i int) {
	m, w := &s.byteMM, &s.workers[worker]
	a, b, cols, rows := m.parts(i)
	words, from := CeilDiv(m.K, 4), At(m.A, m.offset(i, m.SA)*4)
	for r := range m.M {
		to := At(a, r*words*4) // what is behind K meets zeros of B
		s.narrowed(w, At(from, r*m.K*4), to, m.K, m.leastA)
		if m.beta != 0 {
			rows[r] = int32(m.beta * sumBytes(unsafe.Slice((*byte)(to), m.K), s.k.Gemm.Bytes.Signed))
		}
	}
	panels := unsafe.Slice((*uint32)(b), len(cols)*words)
	clear(cols)
	if m.Column == 0 {
		m.packRows(s, w, At(m.B, m.offset(i, m.SB)*4), panels, cols)
	} else {
		m.packColumns(s, w, At(m.B, m.offset(i, m.SB)*4), panels, cols)
	}
	for c := range cols {
		cols[c] = int32(m.alpha)*cols[c] + int32(m.K)*int32(m.alpha)*int32(m.beta)
	}
}

// signs turns bytes less LoB into bytes less LoB + 128, four at a time: kernels that make bytes may saturate at 0 and 255.
const signs = 0x80808080

// packRows packs B whose rows are contiguous: four of them are words of a panel. sums are those of the columns.
func (m *ByteMatMul) packRows(s *Session, w *worker, from Ptr, panels []uint32, sums []int32) {
	words, wide := CeilDiv(m.K, 4), len(sums)
	room := byteRoom(w, 4*wide)
	for j := range words {
		for r := range 4 {
			if k := 4*j + r; k < m.K {
				s.narrowed(w, At(from, k*m.N*4), Ptr(&room[r*wide]), m.N, m.LoB)
			} else {
				zeroSigned(room[r*wide : (r+1)*wide])
			}
		}
		b0, b1, b2, b3 := room[:wide], room[wide:2*wide], room[2*wide:3*wide], room[3*wide:]
		for c := range sums {
			word := (uint32(b0[c]) | uint32(b1[c])<<8 | uint32(b2[c])<<16 | uint32(b3[c])<<24) ^ signs
			sums[c] += int32(int8(word)) + int32(int8(word>>8)) + int32(int8(word>>16)) + int32(int8(word>>24))
			panels[(c/Lanes*words+j)*Lanes+c%Lanes] = word
		}
	}
}

// packColumns packs B whose columns are contiguous.
func (m *ByteMatMul) packColumns(s *Session, w *worker, from Ptr, panels []uint32, sums []int32) {
	words := CeilDiv(m.K, 4)
	room := byteRoom(w, words*4)
	for c := range m.N {
		s.narrowed(w, At(from, c*m.Column*4), Ptr(unsafe.SliceData(room)), m.K, m.LoB)
		sums[c] = int32(sumBytes(room[:m.K], false) - 128*m.K)
		for j := range words {
			panels[(c/Lanes*words+j)*Lanes+c%Lanes] = *(*uint32)(Ptr(&room[4*j])) ^ signs
		}
	}
}

// byteRoom is memory of a worker for n bytes, a multiple of 4, that stand for 0.
func byteRoom(w *worker, n int) []byte {
	room := unsafe.Slice((*byte)(Ptr(unsafe.SliceData(w.scratchFor(n/4)))), n)
	zeroSigned(room)
	return room
}

// zeroSigned makes bytes that signs makes 0.
func zeroSigned(b []byte) {
	for i := range b {
		b[i] = signs & 0xff
	}
}

// sumBytes adds bytes, eight at a time: signed ones as what they are above -128.
func sumBytes(b []byte, signed bool) int {
	flip, sum := uint64(0), 0
	if signed {
		flip, sum = 0x8080808080808080, -128*len(b)
	}
	const odd = 0x00ff00ff00ff00ff
	for len(b) >= 8 {
		n := min(len(b)&^7, 8*128) // sums of pairs stay below 16 bits
		four := uint64(0)
		for i := 0; i < n; i += 8 {
			x := *(*uint64)(Ptr(&b[i])) ^ flip
			four += x&odd + x>>8&odd
		}
		sum += int(four&0xffff + four>>16&0xffff + four>>32&0xffff + four>>48)
		b = b[n:]
	}
	for _, x := range b {
		sum += int(x ^ byte(flip))
	}
	return sum
}

func (s *Session) byteMatMulTask(worker, i int) {
	m, w := &s.byteMM, &s.workers[worker]
	entry, r0 := i/m.rowBlocks, i%m.rowBlocks*byteRows
	a, b, cols, rows := m.parts(entry)
	words, r1 := CeilDiv(m.K, 4), min(m.M, r0+byteRows)
	c := At(m.C, (entry*m.M+r0)*m.N*4)
	t := Tile{K: words, A: At(a, r0*words*4), LDA: words * 4, B: b, BStep: words * Lanes * 4, C: c, LDC: m.N * 4,
		Bias: Ptr(unsafe.SliceData(cols)), Relu: b2i(m.Integers || m.beta != 0)}
	s.k.Gemm.Bytes.block(w, &t, m.N, 0, r1-r0, 0, CeilDiv(m.N, Lanes))
	if m.beta == 0 {
		return
	}
	for r, more := range rows[r0:r1] {
		line := unsafe.Slice((*int32)(At(c, r*m.N*4)), m.N)
		for j := range line {
			line[j] += more
		}
		if !m.Integers {
			toFloats(line)
		}
	}
}

// toFloats makes f32 of integers in place.
func toFloats(v []int32) {
	to := unsafe.Slice((*float32)(Ptr(unsafe.SliceData(v))), len(v))
	for i, x := range v {
		to[i] = float32(x)
	}
}
