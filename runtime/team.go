package rt

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Team is a set of worker goroutines that one session at a time may use. Helpers spin while a run is in progress and park
// between runs: waking a parked goroutine costs as much as a small model's whole layer.
type Team struct {
	mu      sync.Mutex
	threads int
	wake    []chan struct{}
	active  atomic.Bool
	closed  atomic.Bool
	parts   []part // one a worker: its own tasks, which others take when theirs are done
	done    atomic.Int64
	task    func(worker, i int)
	epoch   uint64
}

// part is a run of neighbouring tasks: epoch<<48 | end<<24 | next. Neighbours share data and are prefetched in order.
type part struct {
	state atomic.Uint64
	_     [56]byte
}

const (
	taskBits = 24
	taskMask = 1<<taskBits - 1
)

// NewTeam starts threads-1 helpers; they park at once.
func NewTeam(threads int) *Team {
	t := &Team{threads: max(1, min(threads, 64))}
	t.parts = make([]part, t.threads)
	for i := 1; i < t.threads; i++ {
		c := make(chan struct{}, 1)
		t.wake = append(t.wake, c)
		go t.help(i, c)
	}
	return t
}

// Threads is the number of workers, the caller of Run included.
func (t *Team) Threads() int { return t.threads }

// Close ends the helpers. No run may be in progress.
func (t *Team) Close() {
	t.closed.Store(true)
	for _, c := range t.wake {
		close(c)
	}
}

func (t *Team) help(worker int, wake chan struct{}) {
	for range wake {
		for spins := 0; t.active.Load() && !t.closed.Load(); spins++ {
			if t.take(worker) {
				spins = 0
			} else if spins&1023 == 1023 {
				runtime.Gosched()
			}
		}
	}
}

// take does one task of the current job, if one is left: of the worker's own part first.
func (t *Team) take(worker int) bool {
	for i := range t.parts {
		if t.takeFrom(&t.parts[(worker+i)%len(t.parts)], worker) {
			return true
		}
	}
	return false
}

func (t *Team) takeFrom(p *part, worker int) bool {
	s := p.state.Load()
	if s&taskMask >= s>>taskBits&taskMask {
		return false
	}
	s = p.state.Add(1) - 1
	if s&taskMask >= s>>taskBits&taskMask {
		return false
	}
	t.task(worker, int(s&taskMask))
	t.done.Add(1)
	return true
}

// begin claims the team for a run and wakes the helpers; it reports false if another run has it.
func (t *Team) begin() bool {
	if t.threads == 1 || !t.mu.TryLock() {
		return false
	}
	t.active.Store(true)
	for _, c := range t.wake {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return true
}

func (t *Team) end() {
	t.active.Store(false)
	t.mu.Unlock()
}

// run does tasks 0 … n-1, each once, in any order on any worker, and returns when all are done.
func (t *Team) run(n int, task func(worker, i int)) {
	for n > 0 {
		part := min(n, taskMask/2)
		t.job(part, task)
		n -= part
		if n > 0 {
			inner, base := task, part
			task = func(w, i int) { inner(w, base+i) }
		}
	}
}

func (t *Team) job(n int, task func(worker, i int)) {
	t.task = task
	t.done.Store(0)
	t.epoch++
	for w := range t.parts {
		lo, hi := n*w/len(t.parts), n*(w+1)/len(t.parts)
		t.parts[w].state.Store(t.epoch<<48 | uint64(hi)<<taskBits | uint64(lo))
	}
	for t.take(0) {
	}
	for spins := 0; t.done.Load() < int64(n); spins++ {
		if spins&1023 == 1023 {
			runtime.Gosched()
		}
	}
}
