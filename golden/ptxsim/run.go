package ptxsim

import (
	"errors"
	"fmt"
	"unsafe"
)

// Machine runs entries on memory that it owns.
type Machine struct {
	m       *Module
	blocks  []allocation
	Started map[string]int // launches of each entry
	early   bool           // of the launch in progress: see Launch
}

type allocation struct {
	from uint64
	data []byte
}

// NewMachine is a machine for a module.
func NewMachine(m *Module) *Machine { return &Machine{m: m, Started: map[string]int{}} }

// Alloc makes zeroed memory, aligned to 256 bytes.
func (m *Machine) Alloc(n int) unsafe.Pointer {
	data := make([]byte, n+256)
	skip := int(-uintptr(unsafe.Pointer(&data[0])) & 255)
	data = data[skip : skip+n : skip+n]
	p := unsafe.Pointer(unsafe.SliceData(data))
	m.blocks = append(m.blocks, allocation{uint64(uintptr(p)), data})
	return p
}

// Free forgets memory.
func (m *Machine) Free(p unsafe.Pointer) {
	for i := range m.blocks {
		if p != nil && m.blocks[i].from == uint64(uintptr(p)) {
			m.blocks = append(m.blocks[:i], m.blocks[i+1:]...)
			return
		}
	}
}

// InUse is the number of allocations that have not been freed.
func (m *Machine) InUse() int { return len(m.blocks) }

type state uint8

const (
	ready state = iota
	waits       // at a barrier or a shuffle
	done
)

type thread struct {
	id    int
	pc    int
	state state
	regs  []uint64
	block *block
	last  *allocation

	open   []copying   // asynchronous copies since the last commit
	groups [][]copying // and before
}

type block struct {
	e       *entry
	m       *Machine
	at      [3]int
	shared  []byte
	params  []byte
	threads []thread
	bars    map[uint64]*mbarrier
}

// Launch runs an entry to its end. In every second launch copies are made as soon as they are started and one warp or group of warps runs as
// far ahead of the others as it may; in the rest copies are made at the last moment and all warps go on together.
func (m *Machine) Launch(name string, grid [3]int, threads, shared int, params []uint64) error {
	e := m.m.entries[name]
	if e == nil {
		return fmt.Errorf("no entry %s", name)
	}
	if len(params)*8 != e.params {
		return fmt.Errorf("%s: %d bytes of parameters, want %d", name, len(params)*8, e.params)
	}
	m.Started[name]++
	m.early = m.Started[name]%2 == 0
	b := &block{e: e, m: m, shared: make([]byte, e.static+shared), params: unsafe.Slice((*byte)(unsafe.Pointer(&params[0])), e.params)}
	for i := range threads {
		b.threads = append(b.threads, thread{id: i, regs: append([]uint64{}, e.init...), block: b})
	}
	for z := range grid[2] {
		for y := range grid[1] {
			for x := range grid[0] {
				b.at = [3]int{x, y, z}
				if err := b.run(); err != nil {
					return fmt.Errorf("%s, block %v: %w", name, b.at, err)
				}
			}
		}
	}
	return nil
}

func (b *block) run() error {
	for i := range b.shared {
		b.shared[i] = 0xff // a NaN: nothing may count on fresh shared memory
	}
	b.bars = map[uint64]*mbarrier{}
	for i := range b.threads {
		b.threads[i].pc, b.threads[i].state, b.threads[i].open, b.threads[i].groups = 0, ready, nil, nil
	}
	for {
		finished := true
		for i := range b.threads {
			t := &b.threads[i]
			if err := t.run(); err != nil {
				return fmt.Errorf("thread %d: %w", t.id, err)
			}
			finished = finished && t.state == done
		}
		if finished {
			return nil
		}
		switch moved, err := b.release(); {
		case err != nil:
			return err
		case !moved:
			return fmt.Errorf("deadlock at %q", b.e.code[b.threads[0].pc].text)
		}
	}
}

// run goes on until the thread waits or has ended.
func (t *thread) run() error {
	code := t.block.e.code
	for t.state == ready {
		in := &code[t.pc]
		if in.pred >= 0 && (t.regs[in.pred] != 0) == in.negate {
			t.pc++
			continue
		}
		switch in.kind {
		case plain:
			if err := in.run(t); err != nil {
				return fmt.Errorf("%q: %w", in.text, err)
			}
			t.pc++
		case branch:
			t.pc = in.goal
		case exit:
			t.state = done
		default:
			t.state = waits
		}
	}
	return nil
}

// release lets go of the warps that wait at one shuffle, then, if there is none, of a block that waits at one barrier. Threads that
// have ended do not count at barriers, as on the hardware, but do at shuffles with a full mask.
func (b *block) release() (moved bool, err error) {
	for w := 0; w < len(b.threads) && !(moved && b.m.early); w += 32 {
		warp := b.threads[w:min(w+32, len(b.threads))]
		if at := b.together(warp, shuffle, false); at != nil {
			switch {
			case at.mode == ldmatrix:
				err = errors.Join(err, loadMatrices(warp, at))
			case at.mode == warpSync:
				together(warp)
			case operandTypes[at.mode] != nil:
				multiply(warp, at)
			default:
				exchange(warp, at)
			}
			moved = true
		}
	}
	for w := 0; w < len(b.threads) && !(moved && b.m.early); w += 128 {
		group := b.threads[w:min(w+128, len(b.threads))]
		if at := b.together(group, grouped, false); at != nil {
			err, moved = errors.Join(err, multiplyGroup(group, at)), true
		}
	}
	if through, e := b.awaited(); through || e != nil {
		err, moved = errors.Join(err, e), true
	}
	if moved {
		return true, err
	}
	if b.together(b.threads, barrier, true) == nil {
		return false, nil
	}
	for i := range b.threads {
		if t := &b.threads[i]; t.state == waits {
			t.pc, t.state = t.pc+1, ready
		}
	}
	return true, nil
}

// awaited lets go of the threads that wait for a barrier in shared memory that is through.
func (b *block) awaited() (moved bool, err error) {
	for i := range b.threads {
		t := &b.threads[i]
		if t.state != waits || b.e.code[t.pc].kind != await {
			continue
		}
		in := &b.e.code[t.pc]
		if e := in.run(t); e != nil {
			return moved, fmt.Errorf("thread %d: %q: %w", t.id, in.text, e)
		}
		if t.regs[in.regs[0]] != 0 {
			t.pc, t.state, moved = t.pc+1, ready, true
		}
	}
	return moved, nil
}

// together is the instruction of a kind that all threads wait at.
func (b *block) together(threads []thread, k kind, skipDone bool) *instr {
	var at *instr
	for i := range threads {
		t := &threads[i]
		if t.state == done && skipDone {
			continue
		}
		if t.state != waits || b.e.code[t.pc].kind != k || at != nil && at != &b.e.code[t.pc] {
			return nil
		}
		at = &b.e.code[t.pc]
	}
	return at
}

// warpSync only waits for the warp.
const warpSync = "bar.warp.sync"

func together(warp []thread) {
	for i := range warp {
		warp[i].pc, warp[i].state = warp[i].pc+1, ready
	}
}

// exchange is shfl.sync within groups of sixteen: down reads from a higher lane, or keeps its own past the end; idx from one lane.
func exchange(warp []thread, in *instr) {
	got := make([]uint64, len(warp))
	for i := range warp {
		by := int(warp[i].regs[in.regs[2]])
		from := i&^15 + by
		if in.mode == "shfl.sync.down.b32" {
			if from = i + by; from > i|15 {
				from = i
			}
		}
		got[i] = low(warp[from].regs[in.regs[1]])
	}
	for i := range warp {
		warp[i].regs[in.regs[0]] = got[i]
		warp[i].pc, warp[i].state = warp[i].pc+1, ready
	}
}

// memory is n bytes at an address of a state space.
func (t *thread) memory(space string, at uint64, n int, load bool) ([]byte, error) {
	switch space {
	case "param":
		if !load || at+uint64(n) > uint64(len(t.block.params)) {
			return nil, fmt.Errorf("parameter byte %d", at)
		}
		return t.block.params[at:], nil
	case "shared":
		if at+uint64(n) > uint64(len(t.block.shared)) || at%uint64(n) != 0 {
			return nil, fmt.Errorf("shared memory: %d bytes at %d of %d", n, at, len(t.block.shared))
		}
		return t.block.shared[at:], nil
	case "global":
		return t.global(at, n)
	}
	return nil, errUnknown
}

func (t *thread) global(at uint64, n int) ([]byte, error) {
	if a := t.last; a != nil && at >= a.from && at+uint64(n) <= a.from+uint64(len(a.data)) && at%uint64(n) == 0 {
		return a.data[at-a.from:], nil
	}
	for i := range t.block.m.blocks {
		a := &t.block.m.blocks[i]
		if at >= a.from && at+uint64(n) <= a.from+uint64(len(a.data)) && at%uint64(n) == 0 {
			t.last = &allocation{a.from, a.data}
			return a.data[at-a.from:], nil
		}
	}
	return nil, fmt.Errorf("global memory: %d bytes at %#x are in no allocation", n, at)
}
