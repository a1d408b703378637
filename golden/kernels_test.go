package golden

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mmc/codegen"
	"mmc/driver"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
	"mmc/runtime"
	"mmc/targets"
)

// rowKernels are the row kernels of every operator on f32, with the attributes and operands that change them.
func rowKernels(t *testing.T) []*loop.Kernel {
	t.Helper()
	var ks []*loop.Kernel
	x := func() *ir.Value { return &ir.Value{Elem: loop.F32, Shape: []sym.Dim{sym.Sym("s0"), sym.Const(40)}} }
	vec := func() *ir.Value { return &ir.Value{Elem: loop.F32, Shape: sym.Consts(40)} }
	add := func(o *ir.Op, attr any, in ...*ir.Value) {
		n, err := ir.NewNode(o, attr, nil, in...)
		if err != nil {
			t.Fatalf("%s: %v", o.Name, err)
		}
		if o.Row != nil {
			ks = append(ks, o.Row(n))
		} else {
			ks = append(ks, n.ElemKernel())
		}
	}
	for _, o := range []*ir.Op{op.Neg, op.Abs, op.Sqrt, op.Floor, op.Ceil, op.Round, op.Exp, op.Erf, op.Tanh, op.Sigmoid, op.Relu, op.Reciprocal, op.Sign, op.Softplus, op.Mish, op.Softmax} {
		add(o, nil, x())
	}
	for _, o := range []*ir.Op{op.Add, op.Sub, op.Mul, op.Div, op.Min, op.Max} {
		add(o, nil, x(), x())
	}
	add(op.Gelu, op.GeluAttr{}, x())
	add(op.Gelu, op.GeluAttr{Tanh: true}, x())
	add(op.Silu, op.SiluAttr{Alpha: 1.702}, x())
	add(op.LeakyRelu, op.LeakyReluAttr{Alpha: 0.1}, x())
	add(op.HardSigmoid, op.HardSigmoidAttr{Alpha: 0.2, Beta: 0.5}, x())
	for _, rms := range []bool{false, true} {
		a := op.NormAttr{Eps: 1e-5, RMS: rms}
		add(op.LayerNorm, a, x(), vec(), vec())
		add(op.LayerNorm, a, x(), vec())
		add(op.AddLayerNorm, a, x(), x(), vec(), vec())
	}
	add(op.L2Norm, op.L2NormAttr{}, x())
	add(op.L2Norm, op.L2NormAttr{Least: 0.5}, x())
	for _, kind := range []string{"sum", "mean", "max", "min", "prod", "sumsq"} {
		add(op.Reduce, op.ReduceAttr{Kind: kind}, x())
	}
	for i := range 8 {
		ks = append(ks, op.SoftmaxRow("softmax", op.AttentionAttr{Scale: []float32{1, 0.125}[i&1], Guard: i&4 != 0}, i&2 != 0))
	}
	ks = append(ks, op.SoftmaxRow("softmax", op.AttentionAttr{Scale: 0.125, Cap: 5}, true))
	for _, act := range []string{"", "gelu", "relu", "tanh"} {
		ks = append(ks, op.EpilogueKernel(op.LinearAttr{Act: act}, true, true), op.EpilogueKernel(op.LinearAttr{Act: act}, false, true))
	}
	for _, name := range []string{"Log", "Sin", "Cos", "Tan", "Atan", "Asinh", "Sinh", "Expm1"} { // plain Go's alone
		b := loop.NewBuilder("call " + name)
		x, y := b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
		b.Loop(func() { b.Store(y, b.Call(name, b.Load(x))) })
		ks = append(ks, b.Kernel())
	}
	return append(ks, logicKernel(), uniformKernel(), op.WinogradBefore(), op.WinogradAfter())
}

// walkKernels are walk kernels that fit in registers and that do not, with every way to begin and to end.
func walkKernels() (ks []*loop.Kernel) {
	for _, places := range []int{1, 2, 9, 25, 49} {
		for _, act := range []string{"", "relu", "silu", "hardswish"} {
			a := op.LinearAttr{Act: act}
			ks = append(ks, op.Taps{Kind: "dot", Places: places, First: true, Last: true, Bias: true, Act: a}.Kernel())
		}
		for _, kind := range []string{"dot", "sum", "max"} {
			ks = append(ks, op.Taps{Kind: kind, Places: places, First: true}.Kernel(), op.Taps{Kind: kind, Places: places}.Kernel(),
				op.Taps{Kind: kind, Places: places, Last: true}.Kernel())
		}
		ks = append(ks, op.Taps{Kind: "sum", Places: places, First: true, Last: true, Divisor: 7}.Kernel())
	}
	return append(ks, op.ScaleKernel(true))
}

// logicKernel uses every code on bools.
func logicKernel() *loop.Kernel {
	b := loop.NewBuilder("logic")
	x, y, z := b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	b.Loop(func() {
		p, q := b.Load(x), b.Load(y)
		lt, le, eq := b.Do(loop.Lt, p, q), b.Do(loop.Le, p, b.F(0.25)), b.Do(loop.Eq, p, p)
		c := b.Do(loop.Xor, b.Do(loop.And, lt, eq), b.Do(loop.Or, le, b.Do(loop.Not, eq)))
		b.Store(z, b.Do(loop.Select, c, b.Do(loop.CopySign, p, q), b.Do(loop.Trunc, b.FMA(b.F(3), p, q))))
	})
	return b.Kernel()
}

// uniformKernel reads an element that all lanes share.
func uniformKernel() *loop.Kernel {
	b := loop.NewBuilder("uniform")
	x, u, z := b.Buffer(loop.Buf{Elem: loop.F32}), b.Buffer(loop.Buf{Elem: loop.F32, Uniform: true}), b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	b.Loop(func() { b.Store(z, b.FMA(b.Load(x), b.Load(u), b.Load(u))) })
	return b.Kernel()
}

// sweeps are the architectures that have kernels: GOARCH, the emulator that runs its programs elsewhere, and whether this CPU runs
// all of its kernels.
var sweeps = []struct {
	arch, emulator string
	native         bool
}{
	{"amd64", os.Getenv("MMC_X86_EMU"), runtime.GOARCH == "amd64" && rt.HasAVX512},
	{"arm64", qemuArm64(), runtime.GOARCH == "arm64"},
}

// qemuArm64 is qemu's user mode for arm64, or "".
func qemuArm64() string {
	if s := os.Getenv("MMC_QEMU_ARM64"); s != "" {
		return s
	}
	path, _ := exec.LookPath("qemu-aarch64-static")
	return path
}

// TestKernels sweeps every row kernel over the lengths 0 … 257 and the tile kernels over tails in M, N and K, each flavour against
// plain Go, bit for bit, with buffers that end where readable memory ends. Plain Go must compute the same on every architecture.
// Those of bytes run again as on a CPU without instructions for them. Kernels that this CPU lacks run under an emulator: MMC_X86_EMU names
// the command, qemu's user mode is found in PATH.
func TestKernels(t *testing.T) {
	digests := map[string]string{}
	for _, s := range sweeps {
		t.Run(s.arch, func(t *testing.T) {
			run := strings.Fields(s.emulator)
			if s.native || s.emulator == "" && s.arch == runtime.GOARCH {
				run = nil
			} else if s.emulator == "" {
				t.Skipf("no emulator for %s", s.arch)
			}
			run = append(run, buildSweep(t, s.arch))
			out, err := exec.Command(run[0], run[1:]...).CombinedOutput()
			t.Logf("%s", out)
			_, digest, ok := strings.Cut(string(out), "kernels agree with plain Go: ")
			if err != nil || !ok {
				t.Fatal(err)
			}
			digests[strings.TrimSpace(digest)] = s.arch
			others := exec.Command(run[0], append(run[1:], "bytes")...)
			others.Env = append(os.Environ(), "GODEBUG=cpu.avx512vnni=off,cpu.asimddp=off")
			if out, err := others.CombinedOutput(); err != nil {
				t.Errorf("products of bytes without instructions for them: %v\n%s", err, out)
			}
		})
	}
	if len(digests) > 1 {
		t.Errorf("plain Go computes something else on another architecture: %v", digests)
	}
}

// buildSweep makes the program that compares the kernels of an architecture.
func buildSweep(t *testing.T, arch string) string {
	ks, walks := rowKernels(t), walkKernels()
	dir := t.TempDir()
	files, err := codegen.RuntimeFiles("rt/")
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	for _, target := range targets.For(arch) {
		u, err := target.Emit(codegen.Wanted{Rows: ks, Walks: walks, Bytes: true, Coded: [rt.Codings]bool{true, true, true, true}})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, u.Files...)
		need := u.Need
		if need == "" {
			need = "true"
		}
		fmt.Fprintf(&tables, "\t{rt.Kernels{ISA: %q, Gemm: %s, Rows: []rt.RowKernel{%s}, Turn: %d, Turns: []rt.TurnKernel{%s}, Walks: []rt.WalkKernel{%s}}, %s},\n",
			target.ISA(), u.Gemm, kernelList(u.Rows, "row"), u.Turn, turnList(u.Turns), kernelList(u.Walks, "walk"), need)
	}
	src, err := os.ReadFile("testdata/sweep/main.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	main := strings.NewReplacer("/*TABLES*/", tables.String(), "/*KERNELS*/", bufferTable(ks), "/*WALKS*/", bufferTable(walks)).Replace(string(src))
	files = append(files, codegen.File{Path: "main.go", Data: []byte(main)}, codegen.File{Path: "go.mod", Data: []byte("module model\n\ngo 1.26\n")})
	return buildFiles(t, dir, files, "linux", arch)
}

// buildFiles builds a program of files, some of which say that they are of package model.
func buildFiles(t *testing.T, dir string, files []codegen.File, goos, goarch string) string {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := strings.Replace(string(f.Data), "package model\n", "package main\n", 1)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "program")
	if err := driver.GoBuild(dir, ".", bin, goos, goarch); err != nil {
		t.Fatal(err)
	}
	return bin
}

// bufferTable lists the kernels' names and buffers as the sweep wants them.
func bufferTable(ks []*loop.Kernel) string {
	var bufs strings.Builder
	for _, k := range ks {
		fmt.Fprintf(&bufs, "\t{%q, []int{%s}},\n", k.Name, bufferKinds(k))
	}
	return bufs.String()
}

// bufferKinds is a number for each buffer: bit 0 is set for outputs, bit 1 for a single element, bit 2 for one that walks.
func bufferKinds(k *loop.Kernel) string {
	var kinds []string
	for _, b := range k.Bufs {
		kind := 0
		if b.Out {
			kind |= 1
		}
		if b.Uniform {
			kind |= 2
		}
		if b.Walk {
			kind |= 4
		}
		kinds = append(kinds, fmt.Sprint(kind))
	}
	return strings.Join(kinds, ", ")
}

// turnList names the forms of row kernels for several rows, nil where there is none.
func turnList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n; n == "" {
			out[i] = "nil"
		}
	}
	return strings.Join(out, ", ")
}

// kernelList names the kernels; where a target refuses one, plain Go stands in.
func kernelList(names []string, kind string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n; n == "" {
			out[i] = fmt.Sprintf("%s%d__purego", kind, i)
		}
	}
	return strings.Join(out, ", ")
}
