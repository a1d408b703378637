package rt

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"mmc/runtime/plain"
)

// Ptr is an address in an arena, in the weights or in a caller's slice.
type Ptr = unsafe.Pointer

func copyBytes(to, from Ptr, n int) {
	copy(unsafe.Slice((*byte)(to), n), unsafe.Slice((*byte)(from), n))
}

// At is p moved by a number of bytes.
func At(p Ptr, bytes int) Ptr { return unsafe.Add(p, bytes) }

// maxBufs is the most buffers of a row kernel.
const maxBufs = 12

// Ptrs are a row kernel's buffers.
type Ptrs [maxBufs]Ptr

// RowKernel works on a row of n elements.
type RowKernel func(n int, p *Ptrs)

// maxTurn is the most rows that are worked on in turns.
const maxTurn = 4

// Turn are the buffers of rows that are worked on in turns.
type Turn [maxTurn]Ptrs

// TurnKernel works on Kernels.Turn rows of n elements.
type TurnKernel func(n int, p *Turn)

// MaxTaps is the most places of a window that a walk kernel takes: 7 by 7. Each has weights, and there are a bias and the result.
const (
	MaxTaps = 49
	maxWalk = 2*MaxTaps + 2
)

// WalkStep is how many places a walk kernel does at once.
const WalkStep = 4

// Walk is what a walk kernel is called with: rows of N elements at Places places, which are fewer than WalkStep or a multiple of it. From
// a place to the next, the buffers that walk move on by In bytes if they are read and by Out if they are written.
type Walk struct {
	N, Places, In, Out int
	P                  [maxWalk]Ptr
}

// WalkKernel does the rows of a walk.
type WalkKernel func(w *Walk)

// Kernels are a program's kernels for one instruction set.
type Kernels struct {
	ISA   string
	Gemm  Gemm
	Rows  []RowKernel
	Turn  int
	Turns []TurnKernel // by row kernel, where there is one; may be shorter
	Walks []WalkKernel
}

// maxArena is the most memory of one run.
const maxArena = 1 << 40

// Session is the state of one run: an arena, the run's kernels and the job being done. It is used by one goroutine at a time.
type Session struct {
	team    *Team
	shared  bool // the team is ours for this run
	k       *Kernels
	weights Ptr
	arena   []byte
	slots   []int // byte offsets in the arena
	In, Out []Ptr
	workers []worker
	err     error
	kept    []Ptr // by slot: what lies outside the arena; nil in an ordinary run
	length  int   // that kept caches have room for
	step    int   // of the program, in progress
	failed  int   // the step that err is from
	stats   *Stats
	words   *plain.Words // the strings of this run, after the model's own
	dev     *Device      // nil: everything runs on the CPU
	mem     deviceMemory

	lin      Linear
	bytes    Bytes
	byteConv ByteConv
	byteMM   ByteMatMul
	mm       MatMul
	att      Attention
	rows     Rows
	move     Move
	gat      Gather
	elements GatherElements
	outside  atomic.Bool // whether an index of elements is
	col      Im2Col
	conv     Conv
	scaled   Scaled
	wino     Winograd
	taps     Taps
	layers   Layers
	means    Taps // of the lines of what taps gives
	res      Resize
	samples  []sample // of res
	emb      Embedding
	pool     Pool
	nums     []int
	task     struct{ lin, bytes, narrow, narrowImage, byteConv, bytePack, byteMM, mmPack, mm, att, rows, move, turn, gat, elements, col, conv, sliced, direct, scaled, patches, wino, taps, ring, layers, res, emb, pool func(worker, i int) }
}

// worker is what one thread needs for itself.
type worker struct {
	ptrs    Ptrs
	turn    Turn
	walk    Walk
	tile    Tile
	narrow  Narrow
	panel   Panel
	runs    []run
	wino    winoTask
	scratch []float32
	unpack  Unpack
	plain   []float32 // weights that were coded
	_       [64]byte  // keep workers on lines of their own
}

// NewSession makes a session for programs with the given kernels and weights.
func NewSession(team *Team, k *Kernels, weights Ptr) *Session {
	s := &Session{team: team, k: k, weights: weights, workers: make([]worker, team.Threads())}
	s.task.lin, s.task.mmPack, s.task.mm, s.task.att = s.linearTask, s.packTask, s.matmulTask, s.attentionTask
	s.task.patches, s.task.sliced, s.task.direct = s.patchesTask, s.slicedTask, s.directTask
	s.task.bytePack, s.task.byteMM = s.bytePackTask, s.byteMatMulTask
	s.task.bytes, s.task.narrow, s.task.narrowImage, s.task.byteConv = s.bytesTask, s.narrowTask, s.narrowImageTask, s.byteConvTask
	s.task.turn, s.task.elements = s.turnTask, s.elementsTask
	s.task.rows, s.task.move, s.task.gat, s.task.col = s.rowsTask, s.moveTask, s.gatherTask, s.im2colTask
	s.task.conv, s.task.scaled, s.task.wino, s.task.taps = s.convTask, s.scaledTask, s.winogradTask, s.tapsTask
	s.task.ring, s.task.layers = s.ringTask, s.layersTask
	s.task.res, s.task.emb, s.task.pool = s.resizeTask, s.embeddingTask, s.poolTask
	return s
}

// Begin starts a run: slot sizes are in bytes.
func (s *Session) Begin(sizes []int) error {
	if len(s.slots) != len(sizes) {
		s.slots = make([]int, len(sizes))
	}
	total := 0
	for i, n := range sizes {
		if n < 0 || total > maxArena {
			return fmt.Errorf("the arena would be larger than %d bytes", maxArena)
		}
		s.slots[i] = total
		total += (n + 127) &^ 63
	}
	s.err = nil
	if s.dev != nil {
		if err := s.beginDevice(total); err != nil {
			return err
		}
	} else if total > len(s.arena) {
		s.arena = nil
		s.arena = reserve(total + total/8)
	}
	s.shared = s.team.begin()
	return nil
}

// End finishes a run and gives the first error of its drivers.
func (s *Session) End() error {
	if s.dev != nil {
		if err := s.dev.End(); err != nil && s.err == nil {
			s.err = err
		}
	}
	if s.shared {
		s.team.end()
		s.shared = false
	}
	return s.err
}

// Free drops the arena.
func (s *Session) Free() {
	s.arena = nil
	s.freeDevice()
}

// Slot is the address of an arena slot; Weight of an offset in the weights.
func (s *Session) Slot(i int) Ptr {
	if s.dev != nil {
		return At(s.mem.arena, s.slots[i])
	}
	if s.kept != nil && s.kept[i] != nil {
		return s.kept[i]
	}
	return unsafe.Pointer(&s.arena[s.slots[i]])
}

// Words is the run's table of strings, for functions of package plain.
func (s *Session) Words() *plain.Words { return s.words }

// Room is the length that caches have room for: their own in an ordinary run, more if a Decoder keeps them.
func (s *Session) Room(length int) int {
	if s.kept != nil {
		return s.length
	}
	return length
}

// Carry is a Move of what a Decoder leaves in place.
func (s *Session) Carry(m Move) {
	if s.kept == nil {
		s.Move(m)
	}
}

// Weight is an address in the weights.
func (s *Session) Weight(off int) Ptr { return unsafe.Add(s.weights, off) }

// ArenaBytes is the size of the arena.
func (s *Session) ArenaBytes() int { return max(len(s.arena), s.mem.bytes) }

// threads is the number of workers of this run.
func (s *Session) threads() int {
	if s.shared {
		return s.team.threads
	}
	return 1
}

// parallel does tasks 0 … n-1.
func (s *Session) parallel(n int, task func(worker, i int)) {
	if !s.shared || n == 1 {
		for i := range n {
			task(0, i)
		}
		return
	}
	s.team.run(n, task)
}

// fail ends the run with a fault of the inputs.
func (s *Session) fail(format string, args ...any) {
	if s.err == nil {
		s.err, s.failed = &InputError{fmt.Sprintf(format, args...)}, s.step
	}
}

// scratchFor gives a worker n floats, aligned to 64 bytes.
func (w *worker) scratchFor(n int) []float32 {
	if len(w.scratch) < n+16 {
		w.scratch = make([]float32, n+n/4+16)
	}
	skip := (64 - int(uintptr(unsafe.Pointer(&w.scratch[0]))&63)) / 4 % 16
	return w.scratch[skip : skip+n]
}
