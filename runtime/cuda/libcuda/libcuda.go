// Package libcuda reaches NVIDIA's driver, libcuda.so.1, at run time: no toolkit, no cgo. It must not know programs or kernels.
package libcuda

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"mmc/runtime/cuda"
)

// Error is a call of the driver that failed, with the driver's name for the reason. Kernel names the entry of a launch.
type Error struct {
	Call, Kernel, Name string
	Code               int
}

func (e *Error) Error() string {
	what := e.Call
	if e.Kernel != "" {
		what += " of " + e.Kernel
	}
	return fmt.Sprintf("%s: %s (%d)", what, e.Name, e.Code)
}

// ErrNoDriver says that there is no NVIDIA driver to load, or none with the calls needed.
var ErrNoDriver = errors.New("no NVIDIA driver")

// calls are the driver's functions in use, under the names of CUDA 11.4 and later.
var calls = []string{"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain",
	"cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuMemAllocManaged", "cuMemFree_v2", "cuMemsetD8_v2", "cuModuleLoadDataEx", "cuModuleUnload",
	"cuModuleGetFunction", "cuFuncSetAttribute", "cuLaunchKernel", "cuCtxSynchronize", "cuGetErrorName", "cuStreamCreate", "cuStreamSynchronize",
	"cuStreamDestroy_v2", "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch", "cuGraphDestroy",
	"cuGraphExecDestroy"}

// newer is there from CUDA 12.0 on.
const newer = "cuTensorMapEncodeTiled"

// The driver's numbers, from cuda.h.
const (
	attrMajor, attrMinor        = 75, 76
	attrManaged                 = 83 // of a device: managed memory
	attrConcurrent              = 89 // managed memory that the CPU may touch while kernels run elsewhere
	attrSharedOptin             = 97
	attrProcessors              = 16
	attachGlobal                = 1
	funcMaxDynamicShared        = 8
	jitErrorLog, jitErrorLogLen = 5, 6
	nonBlocking                 = 1
	captureThreadLocal          = 1
)

const logBytes = 4096

type library struct {
	addr   map[string]uintptr
	mu     sync.Mutex // one run at a time
	dev    int32
	ctx    uintptr
	mod    uintptr
	hopper uintptr // the module for compute capability 9.0, or 0
	stream uintptr

	handles map[uintptr]string
}

// Open loads the driver, takes its first device and loads a module of PTX and, on compute capability 9.0 if MMC_WGMMA is set, another one of
// kernels for that alone; it may be empty. The error says which step failed.
func Open(ptx, hopper string) (*cuda.Driver, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name, limits, err := l.device()
	if err != nil {
		return nil, err
	}
	if !limits.hopper || l.addr[newer] == 0 || os.Getenv("MMC_WGMMA") == "" {
		hopper = ""
	}
	err = l.module(ptx, &l.mod)
	if err == nil && hopper != "" {
		err = l.module(hopper, &l.hopper)
	}
	if err := errors.Join(err, l.call("cuStreamCreate", uintptr(unsafe.Pointer(&l.stream)), nonBlocking)); err != nil {
		l.close()
		return nil, err
	}
	d := &cuda.Driver{Name: name, MaxShared: limits.shared, Processors: limits.processors, Alloc: l.alloc, Free: l.free, Begin: l.begin, End: l.end, Close: l.close,
		Function: func(entry string) (uintptr, bool) { return l.function(entry, limits.shared) },
		Launch:   l.launch, Wait: func() error { return l.call("cuStreamSynchronize", l.stream) },
		Capture:  func() error { return l.call("cuStreamBeginCapture_v2", l.stream, captureThreadLocal) },
		Captured: l.captured,
		Replay:   func(graph uintptr) error { return l.call("cuGraphLaunch", graph, l.stream) },
		Drop:     func(graph uintptr) { _ = l.call("cuGraphExecDestroy", graph) }}
	if l.hopper != 0 {
		d.Map = l.matrix
	}
	return d, nil
}

func load() (*library, error) {
	h, err := purego.Dlopen("libcuda.so.1", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, ErrNoDriver
	}
	l := &library{addr: map[string]uintptr{}, handles: map[uintptr]string{}}
	for _, name := range append(calls, newer) {
		p, err := purego.Dlsym(h, name)
		if err != nil && name != newer {
			return nil, fmt.Errorf("%w: it has no %s", ErrNoDriver, name)
		}
		l.addr[name] = p
	}
	return l, nil
}

// call calls the driver. Pointers among the arguments are kept alive, and what they point to stays in place, until it returns.
//
//go:uintptrescapes
func (l *library) call(name string, args ...uintptr) error {
	r, _, _ := purego.SyscallN(l.addr[name], args...)
	code := int(int32(r))
	if code == 0 {
		return nil
	}
	return &Error{Call: name, Name: l.errorName(code), Code: code}
}

func (l *library) errorName(code int) string {
	var p *byte
	if r, _, _ := purego.SyscallN(l.addr["cuGetErrorName"], uintptr(code), uintptr(unsafe.Pointer(&p))); r != 0 || p == nil {
		return "unknown error"
	}
	return text(unsafe.Slice(p, 80))
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// limits are a device's: shared memory of a block in bytes, processors, whose kernels it runs.
type limits struct {
	shared, processors int
	hopper             bool // compute capability 9.0
}

// device takes the first device's primary context; kernels need compute capability 8.0 and managed memory.
func (l *library) device() (name string, has limits, err error) {
	if err := l.call("cuInit", 0); err != nil {
		return "", limits{}, err
	}
	var count int32
	if err := l.call("cuDeviceGetCount", uintptr(unsafe.Pointer(&count))); err != nil {
		return "", limits{}, err
	}
	if count == 0 {
		return "", limits{}, errors.New("the NVIDIA driver has no device")
	}
	if err := l.call("cuDeviceGet", uintptr(unsafe.Pointer(&l.dev)), 0); err != nil {
		return "", limits{}, err
	}
	label := make([]byte, 256)
	if err := l.call("cuDeviceGetName", uintptr(unsafe.Pointer(&label[0])), 256, uintptr(l.dev)); err != nil {
		return "", limits{}, err
	}
	var attr [6]int32
	for i, n := range []uintptr{attrMajor, attrMinor, attrManaged, attrConcurrent, attrSharedOptin, attrProcessors} {
		if err := l.call("cuDeviceGetAttribute", uintptr(unsafe.Pointer(&attr[i])), n, uintptr(l.dev)); err != nil {
			return "", limits{}, err
		}
	}
	if attr[0] < 8 || attr[2] == 0 || attr[3] == 0 {
		return "", limits{}, fmt.Errorf("%s has compute capability %d.%d and managed memory %d/%d; 8.0 and both are needed", text(label), attr[0], attr[1], attr[2], attr[3])
	}
	if err := l.call("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&l.ctx)), uintptr(l.dev)); err != nil {
		return "", limits{}, err
	}
	return text(label), limits{int(attr[4]), int(attr[5]), attr[0] == 9 && attr[1] == 0}, l.call("cuCtxSetCurrent", l.ctx)
}

// module has the driver compile the PTX; a refusal comes with the compiler's own words.
func (l *library) module(ptx string, mod *uintptr) error {
	log := make([]byte, logBytes)
	options := []uint32{jitErrorLog, jitErrorLogLen}
	values := struct { // as the options: an address, a number
		log  unsafe.Pointer
		size uintptr
	}{unsafe.Pointer(&log[0]), logBytes}
	image := append([]byte(ptx), 0)
	err := l.call("cuModuleLoadDataEx", uintptr(unsafe.Pointer(mod)), uintptr(unsafe.Pointer(&image[0])), uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values)))
	if err != nil && log[0] != 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(text(log)))
	}
	return err
}

func (l *library) function(entry string, shared int) (uintptr, bool) {
	name := append([]byte(entry), 0)
	var f uintptr
	mod, hopper := l.mod, strings.HasSuffix(entry, cuda.Hopper)
	if hopper {
		mod = l.hopper
	}
	if l.bind() != nil || l.call("cuModuleGetFunction", uintptr(unsafe.Pointer(&f)), mod, uintptr(unsafe.Pointer(&name[0]))) != nil {
		return 0, false
	}
	if (hopper || strings.HasPrefix(entry, "attention") || strings.HasSuffix(entry, cuda.Wide)) && l.call("cuFuncSetAttribute", f, funcMaxDynamicShared, uintptr(shared)) != nil {
		return 0, false
	}
	l.handles[f] = entry
	return f, true
}

// bind makes the context current on this thread: goroutines move between threads.
func (l *library) bind() error { return l.call("cuCtxSetCurrent", l.ctx) }

func (l *library) begin() error {
	l.mu.Lock()
	runtime.LockOSThread()
	if err := l.bind(); err != nil {
		l.end()
		return err
	}
	return nil
}

func (l *library) end() {
	runtime.UnlockOSThread()
	l.mu.Unlock()
}

// captured ends a recording and makes it a graph that can be launched.
func (l *library) captured() (uintptr, error) {
	var graph, exec uintptr
	if err := l.call("cuStreamEndCapture", l.stream, uintptr(unsafe.Pointer(&graph))); err != nil {
		return 0, err
	}
	err := l.call("cuGraphInstantiateWithFlags", uintptr(unsafe.Pointer(&exec)), graph, 0)
	return exec, errors.Join(err, l.call("cuGraphDestroy", graph))
}

// close gives the stream, the module and the context back.
func (l *library) close() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if l.bind() != nil {
		return
	}
	if l.stream != 0 {
		_ = l.call("cuStreamDestroy_v2", l.stream)
	}
	for _, mod := range []uintptr{l.mod, l.hopper} {
		if mod != 0 {
			_ = l.call("cuModuleUnload", mod)
		}
	}
	_ = l.call("cuDevicePrimaryCtxRelease_v2", uintptr(l.dev))
}

func (l *library) alloc(n int) (unsafe.Pointer, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := l.bind(); err != nil {
		return nil, err
	}
	var p unsafe.Pointer
	if err := l.call("cuMemAllocManaged", uintptr(unsafe.Pointer(&p)), uintptr(n), attachGlobal); err != nil {
		return nil, err
	}
	if err := l.call("cuMemsetD8_v2", uintptr(p), 0, uintptr(n)); err != nil {
		l.free(p)
		return nil, err
	}
	return p, l.call("cuCtxSynchronize")
}

// The tensor memory accelerator's numbers, from cuda.h.
const (
	elements16, elements32 = 1, 7 // unsigned integers, floats
	swizzle128             = 3
	promote128             = 2 // what the second-level cache fetches
)

// matrix describes a matrix to the tensor memory accelerator; what a box has outside it is 0.
func (l *library) matrix(m cuda.Matrix) (words [cuda.MapWords]uint64, err error) {
	kind := uintptr(elements32)
	if m.Size == 2 {
		kind = elements16
	}
	a := struct {
		maps        [2 * cuda.MapWords]uint64 // somewhere in it, 64-byte aligned, the description
		dims, steps [2]uint64
		box, every  [2]uint32
	}{dims: [2]uint64{uint64(m.Columns), uint64(m.Rows)}, steps: [2]uint64{uint64(m.Step)}, box: [2]uint32{uint32(cuda.HopperLine / m.Size), cuda.WideSide}, every: [2]uint32{1, 1}}
	at := int(-uintptr(unsafe.Pointer(&a.maps)) % 64 / 8)
	err = l.call(newer, uintptr(unsafe.Pointer(&a.maps[at])), kind, 2, uintptr(m.P), uintptr(unsafe.Pointer(&a.dims)), uintptr(unsafe.Pointer(&a.steps)),
		uintptr(unsafe.Pointer(&a.box)), uintptr(unsafe.Pointer(&a.every)), 0, swizzle128, promote128, 0)
	copy(words[:], a.maps[at:])
	return words, err
}

func (l *library) free(p unsafe.Pointer) {
	if p == nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if l.bind() == nil {
		_ = l.call("cuMemFree_v2", uintptr(p))
	}
}

func (l *library) launch(f uintptr, grid [3]int, threads, shared int, args []uint64) error {
	params := []unsafe.Pointer{unsafe.Pointer(&args[0])}
	err := l.call("cuLaunchKernel", f, uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]), uintptr(threads), 1, 1, uintptr(shared), l.stream, uintptr(unsafe.Pointer(&params[0])), 0)
	var e *Error
	if errors.As(err, &e) {
		e.Kernel = l.handles[f]
	}
	return err
}
