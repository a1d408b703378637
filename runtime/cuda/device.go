package cuda

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"mmc/runtime"
)

// Driver is what a device needs of CUDA. Memory is managed: the CPU reaches it whenever nothing is in flight.
type Driver struct {
	Name       string
	MaxShared  int // bytes of dynamic shared memory that a block may have
	Processors int // that run blocks at the same time
	Alloc      func(bytes int) (unsafe.Pointer, error)
	Free       func(unsafe.Pointer)
	Function   func(entry string) (handle uintptr, ok bool)
	Launch     func(handle uintptr, grid [3]int, threads, shared int, args []uint64) error
	Wait       func() error
	Begin      func() error // claims the context for this goroutine's thread
	End        func()
	Close      func() // gives the module and the context back

	// Map describes a matrix to the tensor memory accelerator, for boxes of HopperLine bytes x WideSide rows. It is nil where kernels for
	// compute capability 9.0 are not to run.
	Map func(m Matrix) ([MapWords]uint64, error)

	// Capture records the launches that follow instead of starting them; Captured ends that and gives what Replay starts at once.
	Capture  func() error
	Captured func() (graph uintptr, err error)
	Replay   func(graph uintptr) error
	Drop     func(graph uintptr)
}

// Matrix is rows of elements of 2 or 4 bytes, Step bytes from one row to the next; its address and Step are multiples of 16.
type Matrix struct {
	P                         unsafe.Pointer
	Rows, Columns, Step, Size int
}

// MapWords is the size of the driver's description of a matrix.
const MapWords = 16

// Kernel says how a row kernel is used, and so which entries there are for it.
type Kernel struct {
	Lanes                              bool // half a warp a row; otherwise a thread an element
	Rows, Epilogue, Softmax, Embedding bool
}

const (
	threads = 256
	maxGrid = 65535 // of the second and third axis
)

// device is the state of an open device: handles, and what the run in progress has met.
type device struct {
	d       *Driver
	kernels []Kernel
	operand int // bytes of an operand of tensor cores, or 0 for products in f32
	rounded map[layer]unsafe.Pointer

	unpacked map[layer]unsafe.Pointer // weights that were coded, as f32
	handles  map[string]uintptr
	fault    *uint64 // set by kernels: an index outside its table
	args     [RowWords]uint64
	err      error

	runs     map[string]run
	key      string // of the run in progress
	mixed    bool   // the CPU had a part in it
	captures bool
}

// layer names weights: where they are, and their sizes.
type layer struct {
	w    unsafe.Pointer
	n, k int
}

// run is what is known of the runs under one key: that the first was all launches, then the graph made of the second.
type run struct{ graph uintptr }

// maxRuns bounds the graphs that are kept.
const maxRuns = 64

// Open makes a device that runs a program's kernels; where it cannot, it closes the driver. Products are in f32 or, with operands of 2 or 4
// bytes, on tensor cores.
func Open(d *Driver, kernels []Kernel, operand int) (*rt.Device, error) {
	v := &device{d: d, kernels: kernels, operand: operand, rounded: map[layer]unsafe.Pointer{}, unpacked: map[layer]unsafe.Pointer{}, handles: map[string]uintptr{}, runs: map[string]run{}}
	for _, name := range v.entries() {
		h, ok := d.Function(name)
		if !ok {
			d.Close()
			return nil, fmt.Errorf("the module has no kernel %s", name)
		}
		v.handles[name] = h
	}
	p, err := d.Alloc(8)
	if err != nil {
		d.Close()
		return nil, err
	}
	v.fault = (*uint64)(p)
	return &rt.Device{Name: d.Name, Alloc: d.Alloc, Free: d.Free, Begin: v.begin, End: v.end, Wait: v.host, Close: v.close, Replay: v.replay,
		Linear: v.linear, Bytes: v.bytes, MatMul: v.matmul, ByteMatMul: v.byteMatMul, Attention: v.attention, Rows: v.rows, Move: v.move, Embedding: v.embedding, Gather: v.gather, Im2Col: v.windows, Fill: v.fill, Numbers: v.numbers}, nil
}

// entries are the names of the kernels' entries.
func (v *device) entries() []string {
	list := []string{"gemm", "move1", "move2", "move4", "move8", "gather1", "gather2", "gather4", "gather8", "windows", "fill", "numbers", "narrow", "bytes", "integers", "unpack", "unpack_bf16", "unpack_f16"}
	for i, k := range v.kernels {
		for name, used := range map[string]bool{"row": k.Rows, "gemm": k.Epilogue, "attention": k.Softmax, "embedding": k.Embedding} {
			if used {
				list = append(list, fmt.Sprint(name, i))
			}
		}
	}
	if v.operand == 0 {
		return list
	}
	for _, name := range list {
		if !strings.HasPrefix(name, "gemm") {
			continue
		}
		list = append(list, name+Wide)
		if v.d.Map != nil {
			list = append(list, name+Hopper)
		}
	}
	return append(list, "operands")
}

func (v *device) begin() error {
	v.err, v.mixed, v.captures, v.key = nil, false, false, ""
	if err := v.d.Begin(); err != nil {
		return err
	}
	*v.fault = 0
	return nil
}

// replay starts the graph of a key, if there is one. The second run under a key whose first was all launches is captured.
func (v *device) replay(key string) bool {
	r, seen := v.runs[key]
	v.key = key
	if r.graph != 0 {
		v.err = v.d.Replay(r.graph)
		return true
	}
	if seen {
		v.err = v.d.Capture()
		v.captures = v.err == nil
	}
	return false
}

func (v *device) end() error {
	if v.captures {
		v.captured()
	} else if v.err == nil && !v.mixed && v.key != "" && v.runs[v.key].graph == 0 {
		v.remember(run{})
	}
	err := v.wait()
	v.d.End()
	if err == nil && *v.fault != 0 {
		return &rt.InputError{Text: "an index is outside its axis or table"}
	}
	return err
}

// captured ends the recording and starts what was recorded.
func (v *device) captured() {
	v.captures = false
	g, err := v.d.Captured()
	if v.err = errors.Join(v.err, err); v.err != nil {
		return
	}
	v.remember(run{g})
	v.err = v.d.Replay(g)
}

func (v *device) remember(r run) {
	if len(v.runs) >= maxRuns {
		v.forget()
	}
	v.runs[v.key] = r
}

func (v *device) forget() {
	for key, r := range v.runs {
		if r.graph != 0 {
			v.d.Drop(r.graph)
		}
		delete(v.runs, key)
	}
}

func (v *device) close() {
	if v.d.Begin() == nil {
		v.forget()
		v.d.End()
	}
	for _, made := range []map[layer]unsafe.Pointer{v.rounded, v.unpacked} {
		for _, p := range made {
			v.d.Free(p)
		}
	}
	v.d.Free(unsafe.Pointer(v.fault))
	v.d.Close()
}

// host waits, in the middle of a run, so that the CPU can do a job.
func (v *device) host() error {
	v.mixed = true
	return v.wait()
}

// wait waits for everything.
func (v *device) wait() error {
	return errors.Join(v.err, v.d.Wait())
}

// launch starts a kernel; after an error it does nothing. It reports true, for a job that is taken care of.
func (v *device) launch(entry string, grid [3]int, shared, words int) bool {
	if v.err == nil {
		v.err = v.d.Launch(v.handles[entry], grid, threads, shared, v.args[:words])
	}
	return true
}

func blocks(n, each int) int { return (n + each - 1) / each }

func word(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

func (v *device) linear(l *rt.Linear) bool {
	entry := "gemm"
	if l.Act >= 0 {
		entry = fmt.Sprint("gemm", l.Act)
	}
	if l.Act >= 0 && !v.kernels[l.Act].Epilogue || blocks(l.M, 64) > maxGrid {
		return false
	}
	if l.Coded.Bits != 0 {
		plain, ok := v.unpack(l)
		if plain == nil {
			return ok
		}
		again := *l
		again.W, again.Coded = plain, rt.Coded{}
		l = &again
	}
	a := v.args[:GemmWords]
	clear(a)
	a[GemmM], a[GemmN], a[GemmK] = uint64(l.M), uint64(l.N), uint64(l.K)
	a[GemmA], a[GemmLDA] = word(l.A), uint64(l.RowStep())
	a[GemmB], a[GemmPanel], a[GemmBN], a[GemmBK] = word(l.W), uint64(l.PanelStep()), 4, rt.Lanes*4
	a[GemmC], a[GemmLDC], a[GemmCount], a[GemmOf] = word(l.C), uint64(l.N*4), uint64(max(1, l.M)), 1
	if o := &l.Out; o.Count > 0 {
		a[GemmLDC], a[GemmCount], a[GemmOf], a[GemmLine], a[GemmGroup] = uint64(o.Row), uint64(o.Count), uint64(o.Of), uint64(o.Line), uint64(o.Group)
	}
	a[GemmBias], a[GemmRes], a[GemmLDR] = word(l.Bias), word(l.Res), uint64(l.N*4)
	if v.operand > 0 && l.M*l.N > 0 {
		return v.tensorLinear(l, entry)
	}
	return v.launch(entry, [3]int{blocks(l.N, 64), blocks(l.M, 64), 1}, 0, GemmWords)
}

// tensorLinear launches a layer on tensor cores: in larger tiles where these keep most processors busy.
func (v *device) tensorLinear(l *rt.Linear, entry string) bool {
	line := blocks(l.K*v.operand, TensorDepth) * TensorDepth
	w, ok := v.round(l, line)
	if !ok {
		return true
	}
	v.args[GemmRounded], v.args[GemmRoundedRow] = word(w), uint64(line)
	grid := [3]int{blocks(l.N, WideSide), blocks(l.M, WideSide), 1}
	switch {
	case 4*grid[0]*grid[1] < 3*v.d.Processors:
		return v.launch(entry, [3]int{blocks(l.N, 64), blocks(l.M, 64), 1}, 0, GemmWords)
	case v.d.Map == nil || (word(l.A)|uint64(l.RowStep()))%16 != 0 || l.K == 0:
		return v.launch(entry+Wide, grid, WideShared, GemmWords)
	}
	v.describe(HopperMapA, Matrix{l.A, l.M, l.K, l.RowStep(), 4})
	v.describe(HopperMapB, Matrix{w, l.N, line / v.operand, line, v.operand})
	return v.launch(entry+Hopper, grid, HopperShared(v.operand), HopperWords)
}

// describe puts a matrix's map into the arguments.
func (v *device) describe(at int, m Matrix) {
	if v.err != nil {
		return
	}
	var words [MapWords]uint64
	words, v.err = v.d.Map(m)
	copy(v.args[at:], words[:])
}

// round is a layer's weights as operands, line bytes a column. They are made when the layer runs for the first time and then kept.
func (v *device) round(l *rt.Linear, line int) (unsafe.Pointer, bool) {
	key := layer{l.W, l.N, l.K}
	if w := v.rounded[key]; w != nil || v.err != nil {
		return w, v.err == nil
	}
	w, err := v.d.Alloc(max(l.N*line, 1))
	if err != nil {
		v.err = err
		return nil, false
	}
	v.rounded[key] = w
	if total := l.N * line / 4; total > 0 {
		var a [OperandWords]uint64
		a[OperandTotal], a[OperandRowWords], a[OperandK] = uint64(total), uint64(line/4), uint64(l.K)
		a[OperandFrom], a[OperandPanel], a[OperandTo] = word(l.W), uint64(l.PanelStep()), word(w)
		v.err = v.d.Launch(v.handles["operands"], [3]int{blocks(total, threads), 1, 1}, threads, 0, a[:])
	}
	return w, v.err == nil
}

// unpack is a layer's coded weights as panels of f32, made when the layer runs for the first time and then kept; nil after an error, or, with
// false, if they are too many.
func (v *device) unpack(l *rt.Linear) (unsafe.Pointer, bool) {
	key := layer{l.W, l.N, l.K}
	if w := v.unpacked[key]; w != nil || v.err != nil {
		return w, true
	}
	total := blocks(l.N, rt.Lanes) * rt.Lanes * l.K
	if total >= 1<<31 {
		return nil, false
	}
	w, err := v.d.Alloc(max(4*total, 1))
	if v.err = err; err != nil {
		return nil, true
	}
	v.unpacked[key] = w
	if total > 0 {
		var a [UnpackWords]uint64
		a[UnpackTotal], a[UnpackK], a[UnpackBlock] = uint64(total), uint64(l.K), uint64(l.Coded.Block)
		entry := "unpack"
		switch {
		case l.Coded.Half:
			entry = "unpack_f16"
		case l.Coded.Bits == 16:
			entry = "unpack_bf16"
		default:
			a[UnpackShift], a[UnpackMask] = uint64(8/l.Coded.Bits-1), 1<<l.Coded.Bits-1
		}
		a[UnpackFrom], a[UnpackPanel], a[UnpackSize], a[UnpackTo] = word(l.W), uint64(l.PanelStep()), uint64(l.Coded.Step(1)), word(w)
		v.err = v.d.Launch(v.handles[entry], [3]int{blocks(total, threads), 1, 1}, threads, 0, a[:])
	}
	return w, true
}

func (v *device) bytes(n *rt.Bytes) bool {
	words := blocks(n.K+n.More, 4)
	if n.M*words >= 1<<31 || n.M*n.N >= 1<<31 {
		return false
	}
	if n.M*n.N == 0 {
		return true
	}
	if words > 0 {
		a := v.args[:NarrowWords]
		a[NarrowTotal], a[NarrowRowWords], a[NarrowK], a[NarrowAll] = uint64(n.M*words), uint64(words), uint64(n.K), uint64(n.K+n.More)
		a[NarrowLo], a[NarrowA], a[NarrowRow], a[NarrowAgain], a[NarrowTo] = uint64(n.Lo), word(n.A), uint64(n.Row), word(n.Again), word(n.Packed)
		v.launch("narrow", [3]int{blocks(n.M*words, threads), 1, 1}, 0, NarrowWords)
	}
	a := v.args[:BytesWords]
	a[BytesTotal], a[BytesN], a[BytesRowWords], a[BytesLo], a[BytesIntegers] = uint64(n.M*n.N), uint64(n.N), uint64(words), uint64(n.Lo), 0
	if n.Integers {
		a[BytesIntegers] = 1
	}
	a[BytesA], a[BytesW], a[BytesSums], a[BytesZero] = word(n.Packed), word(n.W), word(n.Sums), word(n.Zero)
	a[BytesBias], a[BytesC] = word(n.Bias), word(n.C)
	return v.launch("bytes", [3]int{blocks(n.M*n.N, threads), 1, 1}, 0, BytesWords)
}

func (v *device) matmul(m *rt.MatMul) bool {
	n := m.Batch[0] * m.Batch[1] * m.Batch[2]
	if n > maxGrid || blocks(m.M, 64) > maxGrid {
		return false
	}
	if n*m.M*m.N == 0 {
		return true
	}
	a := v.args[:GemmWords]
	clear(a)
	a[GemmM], a[GemmN], a[GemmK] = uint64(m.M), uint64(m.N), uint64(m.K)
	a[GemmA], a[GemmLDA] = word(m.A), uint64(m.K*4)
	a[GemmB], a[GemmPanel], a[GemmBN], a[GemmBK] = word(m.B), rt.Lanes*4, 4, uint64(m.N*4)
	if m.Column > 0 {
		a[GemmPanel], a[GemmBN], a[GemmBK] = uint64(rt.Lanes*m.Column*4), uint64(m.Column*4), 4
	}
	a[GemmC], a[GemmLDC], a[GemmSC] = word(m.C), uint64(m.N*4), uint64(m.M*m.N*4)
	a[GemmCount], a[GemmOf] = uint64(m.M), 1
	for i := range 3 {
		a[GemmBatch+i], a[GemmSA+i], a[GemmSB+i] = uint64(m.Batch[i]), uint64(m.SA[i]*4), uint64(m.SB[i]*4)
	}
	return v.launch("gemm", [3]int{blocks(m.N, 64), blocks(m.M, 64), n}, 0, GemmWords)
}

func (v *device) byteMatMul(m *rt.ByteMatMul) bool {
	total := m.Batch[0] * m.Batch[1] * m.Batch[2] * m.M * m.N
	if total >= 1<<31 {
		return false
	}
	if total == 0 {
		return true
	}
	a := v.args[:IntegersWords]
	a[IntegersTotal], a[IntegersM], a[IntegersN], a[IntegersK], a[IntegersWhole] = uint64(total), uint64(m.M), uint64(m.N), uint64(m.K), 0
	if m.Integers {
		a[IntegersWhole] = 1
	}
	a[IntegersA], a[IntegersB], a[IntegersC], a[IntegersZeroA], a[IntegersZeroB] = word(m.A), word(m.B), word(m.C), word(m.ZeroA), word(m.ZeroB)
	a[IntegersBN], a[IntegersBK] = 4, uint64(m.N*4)
	if m.Column > 0 {
		a[IntegersBN], a[IntegersBK] = uint64(m.Column*4), 4
	}
	for i := range 3 {
		a[IntegersBatch+i], a[IntegersSA+i], a[IntegersSB+i] = uint64(m.Batch[i]), uint64(m.SA[i]*4), uint64(m.SB[i]*4)
	}
	return v.launch("integers", [3]int{blocks(total, threads), 1, 1}, 0, IntegersWords)
}

func (v *device) attention(t *rt.Attention) bool {
	shared := 16 * t.S * 4
	if !v.kernels[t.Softmax].Softmax || shared > v.d.MaxShared || t.Heads > maxGrid || t.Batch > maxGrid {
		return false
	}
	if t.M*t.S*t.Batch*t.Heads == 0 {
		return true
	}
	a := v.args[:AttWords]
	a[AttBatch], a[AttHeads], a[AttGroup] = uint64(t.Batch), uint64(t.Heads), uint64(max(1, t.Group))
	a[AttM], a[AttS], a[AttD], a[AttE] = uint64(t.M), uint64(t.S), uint64(t.D), uint64(t.E)
	for at, view := range map[int]*rt.View{AttQ: &t.Q, AttK: &t.K, AttV: &t.V, AttOut: &t.Out, AttMask: &t.Mask} {
		a[at], a[at+1], a[at+2], a[at+3] = word(view.P), uint64(view.Batch*4), uint64(view.Head*4), uint64(view.Row*4)
	}
	return v.launch(fmt.Sprint("attention", t.Softmax), [3]int{blocks(t.M, 16), t.Heads, t.Batch}, shared, AttWords)
}

func (v *device) rows(r *rt.Rows) bool {
	k := &v.kernels[r.Kernel]
	n, outer := r.Dims[r.Rank-1], 1
	for _, d := range r.Dims[:r.Rank-1] {
		outer *= d
	}
	if !k.Rows || n*outer >= 1<<31 || outer >= 1<<27 {
		return false
	}
	if outer == 0 || n == 0 && !r.Whole {
		return true
	}
	a := v.args[:]
	a[RowLength], a[RowOuter], a[RowRank] = uint64(n), uint64(outer), uint64(r.Rank-1)
	for i := range r.Rank - 1 {
		a[RowDims+i] = uint64(r.Dims[i])
	}
	for b := range r.Bufs {
		a[RowPtrs+b] = word(r.P[b])
		for i := range r.Rank - 1 {
			a[RowStride+b*MaxAxes+i] = uint64(r.Stride[b][i])
		}
	}
	grid := blocks(n*outer, threads)
	if k.Lanes {
		grid = blocks(outer, threads/16)
	}
	return v.launch(fmt.Sprint("row", r.Kernel), [3]int{grid, 1, 1}, 0, RowWords)
}
