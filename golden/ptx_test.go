package golden

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"mmc/codegen"
	"mmc/driver"
	"mmc/golden/ptxsim"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/runtime"
	"mmc/targets"
	"mmc/targets/ptx"
)

// ptxUses are uses of the row kernels that cover every kind of entry.
func ptxUses(ks []*loop.Kernel) []codegen.Use {
	uses := make([]codegen.Use, len(ks))
	for i, k := range ks {
		uses[i].Rows = true
		uses[i].Epilogue = elementwise(k)
		uses[i].Softmax = k.Name == "softmax" && len(k.Bufs) <= 3
		uses[i].Embedding = k.Name == "embedding"
	}
	return uses
}

// ptxKernels are the row kernels of the sweep, and those of embeddings.
func ptxKernels(t *testing.T) []*loop.Kernel {
	var ks []*loop.Kernel
	for _, k := range rowKernels(t) {
		if !strings.HasPrefix(k.Name, "call ") { // functions that the CPU keeps
			ks = append(ks, k)
		}
	}
	return append(ks, op.EmbeddingRow(1), op.EmbeddingRow(2), op.EmbeddingRow(3))
}

// ptxModule is the PTX of all row kernels in every use.
func ptxModule(t *testing.T, dtype string) string {
	ks := ptxKernels(t)
	return ptx.Module(ks, ptxUses(ks), dtype)
}

// TestPTXSweep runs every entry on the interpreter, over tails in every size, against plain Go; products in other types of operands on
// numbers that are exact in them.
func TestPTXSweep(t *testing.T) {
	for _, dtype := range dtypes {
		t.Run(dtype, func(t *testing.T) { ptxSweep(t, dtype) })
	}
}

func ptxSweep(t *testing.T, dtype string) {
	ks, dir := ptxKernels(t), t.TempDir()
	acc := simulated(dtype)
	uses := ptxUses(ks)
	var table, kinds strings.Builder
	for i, k := range ks {
		lanes := false
		for _, in := range k.Insts {
			lanes = lanes || in.Code.Reduction() || in.Code == loop.Len
		}
		fmt.Fprintf(&table, "\t{Lanes: %v, Rows: true, Epilogue: %v, Softmax: %v, Embedding: %v},\n", lanes, uses[i].Epilogue, uses[i].Softmax, uses[i].Embedding)
		fmt.Fprintf(&kinds, "\t%s,\n", "{"+bufferKinds(k)+"}")
	}
	unit, err := targets.For("")[0].Emit(codegen.Wanted{Rows: ks})
	files, e1 := codegen.RuntimeFiles("rt/")
	more, e2 := codegen.AcceleratorFiles(codegen.Options{Accelerator: acc})
	src, e3 := os.ReadFile("testdata/simulated/sweep.go.txt")
	if err := errors.Join(err, e1, e2, e3); err != nil {
		t.Fatal(err)
	}
	main := strings.NewReplacer("/*ROWS*/", strings.Join(unit.Rows, ", "), "/*TABLE*/", table.String(), "/*KINDS*/", kinds.String(), "/*EXACT*/", fmt.Sprint(dtype != "f32"), "/*OPERAND*/", fmt.Sprint(map[string]int{"f32": 0, "tf32": 4, "bf16": 2, "f16": 2}[dtype])).Replace(string(src))
	files = append(append(files, more...), unit.Files...)
	files = append(files, codegen.File{Path: "main.go", Data: []byte(main)}, codegen.File{Path: "go.mod", Data: []byte("module model\n\ngo 1.26\n")},
		codegen.File{Path: "kernels.ptx", Data: []byte(ptx.Module(ks, uses, dtype))}, codegen.File{Path: "hopper.ptx", Data: []byte(ptx.Hopper(ks, uses, dtype))})
	bin := buildFiles(t, dir, files, "", "")
	for _, wgmma := range []string{"", "1"}[:min(2, 1+len(ptx.Hopper(ks, uses, dtype)))] {
		cmd, launches := exec.Command(bin), filepath.Join(dir, "launches"+wgmma)
		cmd.Env = append(os.Environ(), "MMC_WGMMA="+wgmma, "MMC_LAUNCHES="+launches)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil || !strings.Contains(string(out), "agree with plain Go") {
			t.Fatal(err)
		}
		if counts, err := os.ReadFile(launches); err != nil || strings.Contains(string(counts), "_hopper ") != (wgmma != "") {
			t.Errorf("products by wgmma: %v %s", err, counts)
		}
	}
}

func elementwise(k *loop.Kernel) bool {
	for _, in := range k.Insts {
		if in.Code.Reduction() || in.Code == loop.Len {
			return false
		}
	}
	return k.Name == "epilogue" && len(k.Bufs) <= 3
}

// ptxas is NVIDIA's assembler: MMC_PTXAS or in PATH. It comes with CUDA, and inside the Python package triton.
func ptxas(t *testing.T) string {
	if s := os.Getenv("MMC_PTXAS"); s != "" {
		return s
	}
	path, err := exec.LookPath("ptxas")
	if err != nil {
		t.Skip("no ptxas: set MMC_PTXAS")
	}
	return path
}

var spills = regexp.MustCompile(`(\d+) bytes spill (stores|loads)`)

// dtypes are the operand types of products.
var dtypes = []string{"f32", "bf16", "f16", "tf32"}

// TestPTXAssembles has ptxas assemble every kernel for sm_80 and sm_90a, and those for that alone, without a spill.
func TestPTXAssembles(t *testing.T) {
	tool, dir := ptxas(t), t.TempDir()
	for _, dtype := range dtypes {
		assembles(t, tool, dir, dtype, ptxModule(t, dtype), "sm_80", "sm_90a")
		ks := ptxKernels(t)
		if hopper := ptx.Hopper(ks, ptxUses(ks), dtype); hopper != "" {
			assembles(t, tool, dir, dtype+", wgmma", hopper, "sm_90a")
		}
	}
}

func assembles(t *testing.T, tool, dir, name, module string, archs ...string) {
	file := filepath.Join(dir, "module.ptx")
	if err := os.WriteFile(file, []byte(module), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arch := range archs {
		out, err := exec.Command(tool, "-v", "-arch="+arch, "-o", file+".cubin", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s, %s: %v\n%s", name, arch, err, out)
		}
		for _, m := range spills.FindAllStringSubmatch(string(out), -1) {
			if m[1] != "0" {
				t.Errorf("%s, %s: %s", name, arch, m[0])
			}
		}
		if text := string(out); !strings.Contains(text, "registers") || strings.Contains(strings.ToLower(text), "warning") {
			t.Errorf("%s, %s: no report, or a warning: %s", name, arch, out)
		}
	}
}

// simulated is the CUDA accelerator with the interpreter in the driver's place.
func simulated(dtype string) *codegen.Accelerator {
	a := ptx.CUDA(dtype)
	packages := a.Runtime
	a.Require, a.Sums = "", ""
	a.Runtime = func() ([]codegen.File, error) {
		all, err := packages()
		if err != nil {
			return nil, err
		}
		var files []codegen.File
		for _, f := range all {
			if !strings.Contains(f.Path, "libcuda") {
				files = append(files, f)
			}
		}
		const dir = "rt/cuda/libcuda/"
		stand, err := os.ReadFile("testdata/simulated/libcuda.go.txt")
		files = append(files, codegen.File{Path: dir + "libcuda.go", Data: stand})
		sources, _ := filepath.Glob("ptxsim/*.go")
		for _, src := range sources {
			data, e := os.ReadFile(src)
			err = errors.Join(err, e)
			files = append(files, codegen.File{Path: dir + src, Data: data})
		}
		return files, err
	}
	return a
}

// simulatedSuite builds models to run on the interpreter.
func simulatedSuite(t *testing.T, list []model, dtype string) programs {
	var compiled []*driver.Compiled
	for _, m := range list {
		c, err := driver.Compile(m.file, driver.Options{Targets: everything(), Accelerator: simulated(dtype)})
		if err != nil {
			t.Fatal(err)
		}
		compiled = append(compiled, c)
	}
	return suite(t, compiled)
}

// TestPTXModels runs models on the interpreter: every data set within tolerance, with the CPU's bits.
func TestPTXModels(t *testing.T) {
	list := slices.Concat(own, modelsIn(t, "exports", 11), modelsIn(t, "loops", 10), sharedModels(t))
	s, want := simulatedSuite(t, list, "f32"), readDigests(t)
	for i, m := range list {
		var doc struct{ Results []rt.SetResult }
		runProgram(t, s, i, &doc, "test", "--json", "--isa", rt.Accelerator, m.sets)
		for _, r := range doc.Results {
			if r.ISA != rt.Accelerator {
				t.Errorf("%s ran on %s", m.file, r.ISA)
			}
			checkSet(t, m, r, want)
		}
	}
}

// TestPTXOps runs the cases of convolutions on the interpreter, where they are several launches each, with the evaluator's bits.
func TestPTXOps(t *testing.T) {
	var graphs []*ir.Graph
	var compiled []*driver.Compiled
	for _, file := range []string{"conv", "winograd"} {
		a, err := txtar.ParseFile("ops/" + file + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			g, err := ir.Parse(file+"/"+f.Name, f.Data)
			if err != nil {
				t.Fatal(err)
			}
			c, err := driver.FromGraph(g, driver.Options{Targets: everything(), Accelerator: simulated("f32")})
			if err != nil {
				t.Fatal(err)
			}
			graphs, compiled = append(graphs, g), append(compiled, c)
		}
	}
	s := suite(t, compiled)
	s.flavours = []string{rt.Accelerator}
	for i, g := range graphs {
		checkOp(t, s, i, fmt.Sprint("graph ", i), g, 1)
	}
}

// TestPTXTensorCores runs models with products on tensor cores, as the interpreter has them: within the tolerance of their dtype, and
// not with the bits of f32. Rounding operands to the eight bits of bf16 costs more than 1e-2 in single elements of most models;
// there the direction of the output is held instead.
func TestPTXTensorCores(t *testing.T) {
	list, want := append(append([]model{}, own...), sharedModels(t)...), readDigests(t)
	for _, dtype := range dtypes[1:] {
		s := simulatedSuite(t, list, dtype)
		for i, m := range list {
			var doc struct{ Results []rt.SetResult }
			runProgram(t, s, i, &doc, "test", "--json", "--isa", rt.Accelerator, m.sets)
			for _, r := range doc.Results {
				pass := r.Pass || dtype == "bf16" && r.Outputs[0].Cosine > 0.9999
				if !pass || r.ISA != rt.Accelerator {
					t.Errorf("%s, %s %s: %+v", dtype, m.file, r.Set, r)
				}
				if o := r.Outputs[0]; o.SHA256 == want[fmt.Sprintf("%s/%s %s %s", filepath.Base(m.sets), filepath.Base(m.file), r.Set, o.Name)] {
					t.Errorf("%s, %s: the bits of f32", dtype, m.file)
				}
			}
		}
	}
}

// TestBERTLaunches: a layer of BERT is seven launches (queries, keys and values together, attention, its output, norm, two layers, norm),
// and all else five, so that BERT-base is eighty-nine.
func TestBERTLaunches(t *testing.T) {
	dir := shared(t, "models")
	for _, name := range []string{"tiny-bert", "tiny-bert-dynamo"} {
		m := model{filepath.Join(dir, name, "model.onnx"), filepath.Join(dir, name)}
		p := simulatedSuite(t, []model{m}, "f32")
		file := filepath.Join(t.TempDir(), "launches")
		cmd := p.command(0, "bench", "--isa", rt.Accelerator, "--dim", "s0=1", "--dim", "s1=8", "--runs", "1", "--warmup", "0")
		cmd.Env = append(os.Environ(), "MMC_LAUNCHES="+file)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		total, runs := 0, 2 // bench checks the inputs with a run of its own
		for line := range strings.Lines(string(text)) {
			var entry string
			var n int
			if fmt.Sscan(line, &entry, &n); entry != "graph" {
				total += n
			}
		}
		if perRun := 2*7 + 5; total != runs*perRun {
			t.Errorf("%s: %d launches in %d runs, want %d a run: %s", name, total, runs, perRun, text)
		}
	}
}

// TestPTXParses: the interpreter must know every instruction that can be emitted.
func TestPTXParses(t *testing.T) {
	for _, dtype := range dtypes {
		ks := ptxKernels(t)
		if _, err := ptxsim.Parse(ptxModule(t, dtype), ptx.Hopper(ks, ptxUses(ks), dtype)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPTXDevice runs the tests of a module whose device is the interpreter: replayed graphs, goroutines, faults.
func TestPTXDevice(t *testing.T) {
	c, err := driver.Compile(own[0].file, driver.Options{Targets: everything(), Accelerator: simulated("f32")})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Emit(dir); err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile("testdata/simulated/device_test.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "device_test.go"), src, 0o644); err != nil {
		t.Fatal(err)
	}
	goTool(t, dir, "0", "vet", ".", "./rt/cuda")
	t.Log(goTool(t, dir, "0", "test", "-count=1", "-run", "Replay|Goroutines|Fault", "."))
}
