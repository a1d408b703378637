package rt

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"mmc/runtime/plain"
)

// Elem is an element type.
type Elem uint8

const (
	F32 Elem = iota
	F64
	F16
	BF16
	I8
	U8
	I16
	U16
	I32
	U32
	I64
	U64
	BOOL
	F8E4M3FN // from here on one element a byte, the low bits if it has fewer
	F8E4M3FNUZ
	F8E5M2
	F8E5M2FNUZ
	F8E8M0
	F4E2M1
	I4
	U4
	I2
	U2
	STRING // in memory the number of a string in the run's table
)

var elemInfo = [...]struct {
	name string
	size int
	npy  string
	onnx int
}{{"f32", 4, "<f4", 1}, {"f64", 8, "<f8", 11}, {"f16", 2, "<f2", 10}, {"bf16", 2, "", 16}, {"i8", 1, "|i1", 3}, {"u8", 1, "|u1", 2},
	{"i16", 2, "<i2", 5}, {"u16", 2, "<u2", 4}, {"i32", 4, "<i4", 6}, {"u32", 4, "<u4", 12}, {"i64", 8, "<i8", 7}, {"u64", 8, "<u8", 13},
	{"bool", 1, "|b1", 9}, {"f8e4m3fn", 1, "", 17}, {"f8e4m3fnuz", 1, "", 18}, {"f8e5m2", 1, "", 19}, {"f8e5m2fnuz", 1, "", 20},
	{"f8e8m0", 1, "", 24}, {"f4e2m1", 1, "", 23}, {"i4", 1, "", 22}, {"u4", 1, "", 21}, {"i2", 1, "", 26}, {"u2", 1, "", 25},
	{"string", 8, "", 8}}

func (e Elem) String() string { return elemInfo[e].name }

// bits is the size of an element in files.
func (e Elem) bits() int {
	switch e {
	case F4E2M1, I4, U4:
		return 4
	case I2, U2:
		return 2
	}
	return 8 * e.Size()
}

// Size is the number of bytes of an element.
func (e Elem) Size() int { return elemInfo[e].size }

// Element are the Go types of elements.
type Element interface {
	~float32 | ~float64 | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~bool | string
}

// Tensor is a dense row-major tensor of Go values.
type Tensor[T Element] struct {
	Data  []T
	Shape []int
}

// Axis is the size of an axis: a constant, a symbol, or what Size computes from the symbols.
type Axis struct {
	Const int
	Sym   int
	Size  func(d []int) int
}

// Port is an input or output.
type Port struct {
	Name string
	Elem Elem
	Axes []Axis

	// Fixed are the only bytes the input may hold, because the program was made for them; the input may be left out. Empty
	// means any.
	Fixed string
}

// StepName says what a step of the program does and which nodes of the model it comes from.
type StepName struct{ Kind, From string }

// Flavour is a set of kernels and whether this machine can run them; Has nil means always.
type Flavour struct {
	Kernels *Kernels
	Has     func() bool
}

// Program is what the compiler emits.
type Program struct {
	Digest          string
	Inputs, Outputs []Port
	Symbols, Facts  []string
	Words           []string  // the model's strings, the empty one first; nil if it has nothing to do with strings
	MayBeZero       []bool    // of the symbols; nil if none may be 0
	Counted         int       // how many symbols, the last ones, are found while the program runs
	Decoding        *Decoding // if the program is a decoder
	Steps           []StepName
	Slots           int
	OutSlots        []int
	Flavours        []Flavour
	Weights         string
	DType           string                            // of products on the accelerator; empty is f32
	Rounding        string                            // what the model rounds to between its operators: empty, f16 or int8
	Open            func(p *Program) (*Device, error) // the accelerator, or nil
	SlotSizes       func(d, size []int)
	OutShapes       func(d []int, shape [][]int)
	Limits          func(d []int) (which, small, large int)
	Forward         func(s *Session, d []int)
}

// dtype is the operands' type of products.
func (p *Program) dtype() string {
	if p.DType == "" {
		return "f32"
	}
	return p.DType
}

// Tolerances are the default ones of the program's dtype.
func (p *Program) Tolerances() (atol, rtol float64) {
	if p.dtype() == "f32" && p.Rounding != "f16" {
		return DefaultATol, DefaultRTol
	}
	return NarrowTol, NarrowTol
}

// Options of NewModel. ISA names a flavour; empty picks the best this machine has. Threads 0 means as many as Go may use.
type Options struct {
	ISA     string
	Threads int
}

// NotAvailable is the error for an instruction set that this machine or program lacks.
type NotAvailable struct{ ISA, Have string }

func (e *NotAvailable) Error() string {
	return fmt.Sprintf("instruction set %q is not available here; this program has %s on this machine", e.ISA, e.Have)
}

// Pick chooses a flavour.
func (p *Program) Pick(isa string) (*Kernels, error) {
	var have []string
	for _, f := range p.Flavours {
		if f.Has != nil && !f.Has() {
			continue
		}
		if isa == "" || isa == f.Kernels.ISA {
			return f.Kernels, nil
		}
		have = append(have, f.Kernels.ISA)
	}
	return nil, &NotAvailable{isa, strings.Join(have, ", ")}
}

// Model is a program with its workers and the memory of its runs.
type Model struct {
	prog *Program
	k    *Kernels
	team *Team
	mu   sync.Mutex
	free []*Call

	dev     *Device
	weights Ptr
}

// NewModel prepares a program. With an accelerator and no ISA asked for, or its own, the program runs there; where there is no
// accelerator it runs on the CPU.
func NewModel(p *Program, o Options) (*Model, error) {
	dev, err := p.device(o.ISA)
	if err != nil {
		return nil, err
	}
	isa := o.ISA
	if dev != nil {
		isa = ""
	}
	k, err := p.Pick(isa)
	if err != nil {
		return nil, err
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	m := &Model{prog: p, k: k, team: NewTeam(o.Threads), dev: dev}
	if err := m.placeWeights(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// placeWeights finds where kernels read the weights: in the binary or, copied once, on the device.
func (m *Model) placeWeights() error {
	host, n := Ptr(unsafe.StringData(m.prog.Weights)), len(m.prog.Weights)
	if m.dev == nil {
		m.weights = host
		return nil
	}
	w, err := m.dev.Alloc(max(n, 1))
	if err != nil {
		return err
	}
	copyBytes(w, host, n)
	m.weights = w
	return nil
}

// Accelerator is the ISA that stands for the program's accelerator.
const Accelerator = "cuda"

// device opens the accelerator if it is wanted and there is one.
func (p *Program) device(isa string) (*Device, error) {
	if p.Open == nil || isa != "" && isa != Accelerator {
		return nil, nil
	}
	dev, err := p.Open(p)
	if err != nil && isa == Accelerator {
		return nil, &NoDevice{err}
	}
	if err != nil {
		return nil, nil
	}
	return dev, nil
}

// NoDevice is the error for an accelerator that is asked for and cannot be used.
type NoDevice struct{ Err error }

func (e *NoDevice) Error() string {
	return fmt.Sprintf("instruction set %q is not available here: %v", Accelerator, e.Err)
}
func (e *NoDevice) Unwrap() error { return e.Err }

// ISA is the instruction set in use; Threads the number of workers.
func (m *Model) ISA() string {
	if m.dev != nil {
		return Accelerator
	}
	return m.k.ISA
}

func (m *Model) Threads() int { return m.team.Threads() }

// Close ends the workers and gives idle memory back.
func (m *Model) Close() {
	m.team.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.free {
		c.s.Free()
	}
	m.free = nil
	if m.dev != nil {
		m.dev.Free(m.weights)
		m.dev.Close()
	}
}

// Call is one run in the making: inputs are bound, then it runs once.
type Call struct {
	m      *Model
	s      *Session
	gen    uint64
	dims   []int
	sizes  []int
	in     []bound
	shapes [][]int
	err    error
}

type bound struct {
	p     Ptr
	n     int
	shape []int
	elem  int // size of the elements given
}

// Begin takes an idle call or makes one.
func (m *Model) Begin() *Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		c := m.free[n-1]
		m.free = m.free[:n-1]
		return c
	}
	p := m.prog
	c := &Call{m: m, s: NewSession(m.team, m.k, m.weights), dims: make([]int, len(p.Symbols)),
		sizes: make([]int, p.Slots), in: make([]bound, len(p.Inputs)), shapes: make([][]int, len(p.Outputs))}
	c.s.dev = m.dev
	if p.Words != nil {
		c.s.words = plain.NewWords(p.Words)
	}
	c.s.In = make([]Ptr, len(p.Inputs))
	for i := range c.shapes {
		c.shapes[i] = make([]int, len(p.Outputs[i].Axes))
	}
	return c
}

// Bind gives input i.
func Bind[T Element](c *Call, i int, t Tensor[T]) {
	if text, ok := any(t.Data).([]string); ok {
		c.BindText(i, text, t.Shape)
		return
	}
	var zero T
	c.in[i] = bound{Ptr(unsafe.SliceData(t.Data)), len(t.Data), t.Shape, int(unsafe.Sizeof(zero))}
}

// locate adds the model's nodes to a fault that the inputs caused in a step.
func (p *Program) locate(err error, step int) error {
	in, ok := err.(*InputError)
	if !ok || step >= len(p.Steps) || p.Steps[step].From == "" {
		return err
	}
	return &InputError{fmt.Sprintf("%s (at %s)", in.Text, p.Steps[step].From)}
}

// BindBytes gives input i as raw little-endian elements.
func (c *Call) BindBytes(i int, data []byte, shape []int) {
	size := c.m.prog.Inputs[i].Elem.Size()
	c.in[i] = bound{Ptr(unsafe.SliceData(data)), len(data) / size, shape, size}
}

// BindText gives input i, one of strings.
func (c *Call) BindText(i int, text []string, shape []int) {
	if c.s.words == nil {
		c.in[i] = bound{} // Run refuses it
		return
	}
	numbers := make([]uint64, len(text))
	for k, s := range text {
		numbers[k] = c.s.words.Number(s)
	}
	c.in[i] = bound{Ptr(unsafe.SliceData(numbers)), len(numbers), shape, STRING.Size()}
}

// Result are the outputs of a run.
type Result struct {
	c   *Call
	gen uint64
}

// Release gives the outputs' memory back for the next run. Further calls do nothing.
func (r *Result) Release() {
	if r.c == nil || r.c.gen != r.gen {
		return
	}
	c := r.c
	r.c = nil
	c.gen++
	c.recycle()
}

// maxIdle is the most idle calls, each with its arena, that a model keeps.
const maxIdle = 64

func (c *Call) recycle() {
	m := c.m
	c.s.kept = nil
	if c.s.words != nil {
		c.s.words.Keep(len(m.prog.Words))
	}
	for i := range c.in {
		c.in[i].p, c.s.In[i] = nil, nil
	}
	m.mu.Lock()
	keep := len(m.free) < maxIdle
	if keep {
		m.free = append(m.free, c)
	}
	m.mu.Unlock()
	if !keep {
		c.s.Free()
	}
}

// InputError says which input is wrong, and how.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

// Run checks the inputs' shapes against each other, runs the program and gives the outputs.
func (c *Call) Run() (Result, error) {
	p := c.m.prog
	if err := c.bindDims(); err != nil {
		c.recycle()
		return Result{}, err
	}
	p.SlotSizes(c.dims, c.sizes)
	for i, k := range c.s.kept {
		if k != nil {
			c.sizes[i] = 0
		}
	}
	if err := c.s.Begin(c.sizes); err != nil {
		c.recycle()
		return Result{}, err
	}
	for i := range c.in {
		q, err := c.s.input(i, c.in[i].p, c.in[i].n*c.in[i].elem)
		if err != nil && c.s.err == nil {
			c.s.err = err
		}
		c.s.In[i] = q
	}
	if c.s.err == nil && (c.s.dev == nil || p.Counted > 0 || !c.s.dev.Replay(c.s.deviceKey(c.dims))) {
		p.Forward(c.s, c.dims)
	}
	if err := c.s.End(); err != nil {
		c.recycle()
		return Result{}, p.locate(err, c.s.failed)
	}
	p.OutShapes(c.dims, c.shapes)
	return Result{c, c.gen}, nil
}

func (c *Call) bindDims() error {
	p := c.m.prog
	for i := range c.dims {
		c.dims[i] = -1
	}
	for i, port := range p.Inputs {
		in := &c.in[i]
		if port.Fixed != "" {
			if err := in.fixed(&port); err != nil {
				return err
			}
			continue
		}
		if len(in.shape) != len(port.Axes) {
			return &InputError{fmt.Sprintf("input %q has rank %d, want %d", port.Name, len(in.shape), len(port.Axes))}
		}
		if in.elem != port.Elem.Size() {
			return &InputError{fmt.Sprintf("input %q has elements of %d bytes, want %v", port.Name, in.elem, port.Elem)}
		}
		n := 1
		for a, ax := range port.Axes {
			empty := in.shape[a] == 0 && p.emptyAxis(ax)
			if !empty && (in.shape[a] < 1 || in.shape[a] > 1<<29 || n > 1<<40/in.shape[a]) {
				return &InputError{fmt.Sprintf("input %q axis %d is %d", port.Name, a, in.shape[a])}
			}
			n *= in.shape[a]
			if ax.Size == nil && ax.Sym >= 0 && c.dims[ax.Sym] < 0 {
				c.dims[ax.Sym] = in.shape[a]
			}
		}
		if n != in.n {
			return &InputError{fmt.Sprintf("input %q has %d elements for shape %v", port.Name, in.n, in.shape)}
		}
	}
	return c.checkDims()
}

// fixed checks an input that must hold certain bytes.
func (in *bound) fixed(port *Port) error {
	if in.p == nil && in.shape == nil {
		return nil
	}
	if in.elem != port.Elem.Size() || in.n*in.elem != len(port.Fixed) || unsafe.String((*byte)(in.p), in.n*in.elem) != port.Fixed {
		return &InputError{fmt.Sprintf("input %q does not hold what the program was made for", port.Name)}
	}
	return nil
}

func (c *Call) checkDims() error {
	p := c.m.prog
	for i, d := range c.dims[:len(c.dims)-p.Counted] {
		if d < 0 {
			return &InputError{fmt.Sprintf("the size %q is not given by any input's shape", p.Symbols[i])}
		}
	}
	for i, port := range p.Inputs {
		if port.Fixed != "" {
			continue
		}
		for a, ax := range port.Axes {
			want := ax.Const
			switch {
			case ax.Size != nil:
				want = ax.Size(c.dims)
			case ax.Sym >= 0:
				want = c.dims[ax.Sym]
			}
			if got := c.in[i].shape[a]; got != want {
				return &InputError{fmt.Sprintf("input %q axis %d is %d, want %d%s", port.Name, a, got, want, p.because(ax))}
			}
		}
	}
	if i, small, large := p.Limits(c.dims); i >= 0 {
		return &InputError{fmt.Sprintf("%s: %d is more than the %d that the model has room for", p.Facts[i], small, large)}
	}
	return nil
}

// emptyAxis reports whether an axis may have size 0.
func (p *Program) emptyAxis(ax Axis) bool {
	if ax.Size != nil || ax.Sym < 0 {
		return ax.Size == nil && ax.Const == 0
	}
	return p.MayBeZero != nil && p.MayBeZero[ax.Sym]
}

// because explains the size that an axis must have.
func (p *Program) because(a Axis) string {
	if a.Size != nil || a.Sym < 0 {
		return ""
	}
	return " (" + p.Symbols[a.Sym] + " is set by an input before it)"
}

// OutBytes is output i as little-endian elements, and its shape. Both belong to the result.
func (r *Result) OutBytes(i int) ([]byte, []int) {
	c := r.c
	n := c.m.prog.Outputs[i].Elem.Size()
	for _, d := range c.shapes[i] {
		n *= d
	}
	if n == 0 {
		return nil, c.shapes[i]
	}
	return unsafe.Slice((*byte)(c.s.Slot(c.m.prog.OutSlots[i])), n), c.shapes[i]
}

// Output is output i as Go values.
func Output[T Element](r *Result, i int) Tensor[T] {
	var zero T
	b, shape := r.OutBytes(i)
	if len(b) == 0 {
		return Tensor[T]{Shape: shape}
	}
	if _, ok := any(zero).(string); ok {
		return Tensor[T]{any(r.text(b)).([]T), shape}
	}
	return Tensor[T]{unsafe.Slice((*T)(Ptr(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(zero))), shape}
}

// text are the strings of numbers.
func (r *Result) text(numbers []byte) []string {
	out := make([]string, len(numbers)/STRING.Size())
	for k := range out {
		out[k] = r.c.s.words.Text(binary.LittleEndian.Uint64(numbers[8*k:]))
	}
	return out
}

// FloorDiv and CeilDiv divide rounding down and up; a division by zero gives 0.
func FloorDiv(a, b int) int {
	if b == 0 {
		return 0
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func CeilDiv(a, b int) int { return -FloorDiv(-a, b) }
