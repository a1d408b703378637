package rt

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"
	"unsafe"
)

// BenchResult is what bench prints as JSON.
type BenchResult struct {
	Schema      int            `json:"schema"`
	Model       string         `json:"model"`
	Target      string         `json:"target"`
	ISA         string         `json:"isa"`
	DType       string         `json:"dtype"`
	Dims        map[string]int `json:"dims"`
	Threads     int            `json:"threads"`
	Warmup      int            `json:"warmup"`
	Runs        int            `json:"runs"`
	MinMS       float64        `json:"min_ms"`
	MedianMS    float64        `json:"median_ms"`
	P95MS       float64        `json:"p95_ms"`
	P99MS       float64        `json:"p99_ms"`
	GFLOP       float64        `json:"gflop"`
	GFLOPPerS   float64        `json:"gflop_per_s"`
	ArenaBytes  int            `json:"arena_bytes"`
	WeightBytes int            `json:"weight_bytes"`
	Kernels     []KernelTime   `json:"kernels"`
}

// KernelTime is a step's share of a run.
type KernelTime struct {
	Name      string  `json:"name"`
	From      string  `json:"from"`
	Calls     int     `json:"calls"`
	MS        float64 `json:"ms"`
	GFLOPPerS float64 `json:"gflop_per_s"`
	Share     float64 `json:"share"`
}

func (c *cli) bench() error {
	m, err := c.model()
	if err != nil {
		return err
	}
	defer m.Close()
	ins, err := c.benchInputs()
	if err != nil {
		return err
	}
	res, err := m.Bench(ins, c.warmup, c.runs, c.kernels)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(res)
	}
	fmt.Printf("%s, %d threads, %v: median %.3f ms, min %.3f, p95 %.3f, p99 %.3f (%d runs after %d)\n", res.ISA, res.Threads, res.Dims,
		res.MedianMS, res.MinMS, res.P95MS, res.P99MS, res.Runs, res.Warmup)
	fmt.Printf("%.3f GFLOP, %.1f GFLOP/s; arena %d bytes, weights %d bytes\n", res.GFLOP, res.GFLOPPerS, res.ArenaBytes, res.WeightBytes)
	for _, k := range res.Kernels {
		fmt.Printf("%6.2f%% %9.3f ms %4d calls %8.1f GFLOP/s  %-16s %s\n", k.Share*100, k.MS, k.Calls, k.GFLOPPerS, k.Name, k.From)
	}
	return nil
}

// benchInputs reads the inputs given by -i and makes the others up: small integers, floats in [-1, 1), empty strings.
func (c *cli) benchInputs() ([]*Value, error) {
	dims, err := c.benchDims()
	if err != nil {
		return nil, err
	}
	ins := make([]*Value, len(c.p.Inputs))
	for i, p := range c.p.Inputs {
		v := &Value{Name: p.Name, Elem: p.Elem}
		n := 1
		for _, a := range p.Axes {
			size := a.Const
			switch {
			case a.Size != nil:
				size = a.Size(dims)
			case a.Sym >= 0:
				size = dims[a.Sym]
			}
			v.Shape = append(v.Shape, size)
			n *= size
		}
		if p.Elem == STRING {
			v.Text = make([]string, n)
		} else {
			v.Data = reserve(n * p.Elem.Size())
			v.random(n)
		}
		ins[i] = v
	}
	for _, kv := range c.inputs {
		i := c.inputIndex(kv[0])
		if i < 0 {
			return nil, &InputError{fmt.Sprintf("there is no input %q; the inputs are %s", kv[0], c.inputNames())}
		}
		if ins[i], err = ReadFile(kv[1]); err != nil {
			return nil, usageError{err}
		}
	}
	return ins, nil
}

func (c *cli) benchDims() ([]int, error) {
	dims := make([]int, len(c.p.Symbols))
	for i := range dims {
		dims[i] = 1
	}
	for _, kv := range c.dims {
		n, err := strconv.Atoi(kv[1])
		if err != nil || n < 1 {
			return nil, usageError{fmt.Errorf("--dim %s=%s: want a number from 1", kv[0], kv[1])}
		}
		found, named := false, slices.Contains(c.p.Symbols, kv[0])
		for i, s := range c.p.Symbols {
			if s == kv[0] || !named && kv[0] == "s"+strconv.Itoa(i) {
				dims[i], found = n, true
			}
		}
		if !found {
			return nil, usageError{fmt.Errorf("there is no dim %q; the dims are %q (or s0, s1, … in that order)", kv[0], c.p.Symbols)}
		}
	}
	return dims, nil
}

func (v *Value) random(n int) {
	x := uint64(1)
	for i := range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p := unsafe.Pointer(&v.Data[i*v.Elem.Size()])
		switch v.Elem {
		case F32:
			*(*float32)(p) = float32(float32(x>>40)/(1<<23)) - 1
		case I64, U64:
			*(*int64)(p) = int64(x >> 63)
		case I32, U32:
			*(*int32)(p) = int32(x >> 63)
		default:
			*(*byte)(p) = byte(x >> 63)
		}
	}
}

// Bench measures runs on the given inputs. With kernels, a second round of runs takes the steps' times.
func (m *Model) Bench(ins []*Value, warmup, runs int, kernels bool) (*BenchResult, error) {
	var times []float64
	res := &BenchResult{Schema: 1, Model: m.prog.Digest, Target: "cpu", ISA: m.ISA(), DType: m.prog.dtype(), Dims: map[string]int{},
		Threads: m.Threads(), Warmup: warmup, Runs: max(runs, 1), WeightBytes: len(m.prog.Weights), Kernels: []KernelTime{}}
	for i := range warmup + res.Runs {
		start := time.Now()
		if err := m.once(ins, nil, res); err != nil {
			return nil, err
		}
		if i >= warmup {
			times = append(times, float64(time.Since(start))/1e6)
		}
	}
	sort.Float64s(times)
	at := func(q float64) float64 { return times[min(int(q*float64(len(times))), len(times)-1)] }
	res.MinMS, res.MedianMS, res.P95MS, res.P99MS = times[0], at(0.5), at(0.95), at(0.99)
	st := &Stats{}
	rounds := 1
	if kernels {
		rounds = res.Runs
	}
	for range rounds {
		if err := m.once(ins, st, res); err != nil {
			return nil, err
		}
	}
	res.account(m.prog, st, rounds, kernels)
	return res, nil
}

func (m *Model) once(ins []*Value, st *Stats, res *BenchResult) error {
	c := m.Begin()
	for i, v := range ins {
		c.bind(i, v)
	}
	c.s.Profile(st)
	r, err := c.Run()
	if err != nil {
		return err
	}
	c.s.Profile(nil)
	res.ArenaBytes = c.s.ArenaBytes()
	for i, s := range m.prog.Symbols {
		res.Dims[s] = c.dims[i]
	}
	r.Release()
	return nil
}

func (res *BenchResult) account(p *Program, st *Stats, rounds int, kernels bool) {
	var total time.Duration
	flops := 0
	for _, s := range st.Steps {
		total += s.Time
		flops += s.Flops / rounds
	}
	res.GFLOP = float64(flops) / 1e9
	res.GFLOPPerS = res.GFLOP / res.MedianMS * 1e3
	if !kernels {
		return
	}
	for i, s := range st.Steps {
		if s.Calls == 0 || i >= len(p.Steps) {
			continue
		}
		ms := float64(s.Time) / 1e6 / float64(rounds)
		res.Kernels = append(res.Kernels, KernelTime{p.Steps[i].Kind, p.Steps[i].From, s.Calls / rounds, ms,
			float64(s.Flops) / float64(s.Time), float64(s.Time) / float64(total)})
	}
	sort.SliceStable(res.Kernels, func(i, j int) bool { return res.Kernels[i].MS > res.Kernels[j].MS })
}
