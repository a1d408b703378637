package driver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mmc/codegen"
	"mmc/frontend/onnx"
	"mmc/ir"
	"mmc/passes"
)

// Options of a compilation.
type Options struct {
	Dims       map[string]int64
	Apart      map[string]bool // names of axes that differ from input to input
	TrustLinks bool
	Fixed      map[string]*ir.Tensor // inputs that the program is made for
	Fix        map[string]string     // the same as text: numbers with commas, or a file
	Disable    map[string]bool       // passes to leave out
	Verify     bool                  // verify the graph after every pass
	After      string                // stop after this pass
	Targets    []codegen.Target
	GOOS       string
	GOARCH     string

	Accelerator *codegen.Accelerator // beside the CPU, or nil

	TestData string // folder of data sets to put into the emitted module
}

// Compiled is a model on its way to a binary.
type Compiled struct {
	Path   string
	Model  *onnx.Model
	Graph  *ir.Graph
	Report *passes.Report
	Plan   *codegen.Plan
	o      Options
}

// reading is what the reader of the model has to know.
func (o *Options) reading() onnx.Options {
	return onnx.Options{Dims: o.Dims, Apart: o.Apart, TrustLinks: o.TrustLinks, Fixed: o.Fixed, Fix: o.Fix}
}

// Load reads a model and runs the passes.
func Load(path string, o Options) (*Compiled, error) {
	m, err := onnx.Load(path, o.reading())
	if err != nil {
		return nil, err
	}
	rep, err := passes.Run(m.Graph, passes.Pipeline, passes.Options{Verify: o.Verify, Disable: o.disabled(), After: o.After})
	if bug := (*passes.Internal)(nil); errors.As(err, &bug) && !o.Verify {
		o.Verify = true // again, for the graph before the pass
		return Load(path, o)
	}
	if err != nil {
		return nil, err
	}
	return &Compiled{Path: path, Model: m, Graph: m.Graph, Report: rep, o: o}, nil
}

// disabled are the passes to leave out: Winograd's sums would cost bits that operands of tensor cores do not have.
func (o *Options) disabled() map[string]bool {
	if o.Accelerator == nil || o.Accelerator.DType == "f32" {
		return o.Disable
	}
	all := map[string]bool{passes.Winograd.Name: true}
	for name, off := range o.Disable {
		all[name] = all[name] || off
	}
	return all
}

// Compile is Load and the plan.
func Compile(path string, o Options) (*Compiled, error) {
	c, err := Load(path, o)
	if err != nil {
		return nil, err
	}
	c.Plan, err = codegen.Lower(c.Graph)
	return c, err
}

// CompileOpen is Compile with the axes of Options.Dims left open, but for those whose sizes operators have to know.
func CompileOpen(path string, o Options) (*Compiled, error) {
	dims := o.Dims
	o.Dims = map[string]int64{}
	c, err := Compile(path, o)
	var uns *onnx.Unsupported
	if !errors.As(err, &uns) {
		return c, err
	}
	for _, z := range uns.Sizes {
		if n, ok := dims[z.Name]; ok {
			o.Dims[z.Name] = n
		}
	}
	if len(o.Dims) == 0 {
		return nil, err
	}
	return Compile(path, o)
}

// Bound reports whether an axis has one size in the program.
func (c *Compiled) Bound(axis string) bool {
	_, ok := c.o.Dims[axis]
	return ok
}

// FromGraph is Compile for a graph made by other means: the passes have run, or are not wanted.
func FromGraph(g *ir.Graph, o Options) (*Compiled, error) {
	p, err := codegen.Lower(g)
	if err != nil {
		return nil, err
	}
	return &Compiled{Model: &onnx.Model{Graph: g}, Graph: g, Report: &passes.Report{}, Plan: p, o: o}, nil
}

// program prints the model's package into dir, with its weights.
func (c *Compiled) program(dir string, o codegen.Options) ([]codegen.File, error) {
	o.Digest = c.Model.Digest
	files, err := codegen.Program(c.Plan, c.o.Targets, o)
	if err != nil {
		return nil, err
	}
	if c.Plan.WeightBytes() == 0 {
		return files, nil
	}
	if c.Plan.WeightBytes() > maxEmbedded {
		why := fmt.Sprintf("the weights take %d bytes; a Go program holds at most %d", c.Plan.WeightBytes(), int64(maxEmbedded))
		return nil, &onnx.Unsupported{List: []onnx.Missing{{Op: "weights", Count: 1, Why: why, First: "the model"}}}
	}
	return files, writeTo(filepath.Join(dir, "weights.bin"), func(w writer) error {
		if _, err := w.Write(make([]byte, o.Lead)); err != nil {
			return err
		}
		return c.Plan.WriteWeights(w)
	})
}

// maxEmbedded is the most bytes that the Go linker takes in one data section.
const maxEmbedded = 2_000_000_000

// Emit writes the model as a Go module to dir, which must be empty or an earlier output of ours.
func (c *Compiled) Emit(dir string) error { return c.emit(dir, 0) }

func (c *Compiled) emit(dir string, lead int) error {
	if err := prepareDir(dir); err != nil {
		return err
	}
	o := codegen.Options{Accelerator: c.o.Accelerator, Lead: lead}
	program, err := c.program(dir, o)
	if err != nil {
		return err
	}
	files, err := codegen.Module(program, o)
	if err != nil {
		return err
	}
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	if c.o.TestData == "" {
		return nil
	}
	return copyTree(c.o.TestData, filepath.Join(dir, "testdata"))
}

// prepareDir refuses a folder that holds something else.
func prepareDir(dir string) error {
	if fi, err := os.Lstat(dir); err == nil && fi.Mode()&os.ModeSymlink != 0 {
		return fmt.Errorf("the output folder %s is a symbolic link", dir)
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return os.MkdirAll(dir, 0o755)
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	if data, err := os.ReadFile(filepath.Join(dir, "model.go")); err != nil || !bytes.HasPrefix(data, []byte("// Code generated by mmc.")) {
		return fmt.Errorf("the output folder %s is not empty and not an emitted module", dir)
	}
	return nil
}

func writeFiles(dir string, files []codegen.File) error {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeTo(path, func(w writer) error {
			_, err := w.Write(f.Data)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Build makes the standalone binary at out.
func (c *Compiled) Build(out string) error {
	dir, err := os.MkdirTemp("", "mmc-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.Emit(dir); err != nil {
		return err
	}
	if err := GoBuild(dir, "./cmd/model", out, c.o.GOOS, c.o.GOARCH); err != nil {
		return err
	}
	lead, err := c.misaligned(filepath.Join(dir, "weights.bin"), out)
	if err != nil || lead == 0 {
		return err
	}
	if err := c.emit(dir, lead); err != nil {
		return err
	}
	return GoBuild(dir, "./cmd/model", out, c.o.GOOS, c.o.GOARCH)
}

// manyWeights is from how many bytes of weights on their alignment matters.
const manyWeights = 1 << 20

// line is the size of a cache line.
const line = 64

// misaligned is by how much the weights miss the beginning of a cache line: the linker aligns data to 32 bytes at most, and vectors of
// 64 that lie across two lines cost five to ten percent. Sections are aligned to pages, so a place in the file says it.
func (c *Compiled) misaligned(weights, bin string) (int, error) {
	if c.Plan.WeightBytes() < manyWeights {
		return 0, nil
	}
	off, probe, err := probeOf(weights)
	if err != nil || probe == nil {
		return 0, err
	}
	at, err := find(bin, probe)
	if err != nil || at < 0 {
		return 0, err
	}
	at -= off
	return int((line - at%line) % line), nil
}

// probeOf is a page of a file, among its first, that is like no other: bytes of many values. There may be none.
func probeOf(file string) (off int64, page []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	page = make([]byte, 4096)
	for ; off < manyWeights; off += int64(len(page)) {
		if _, err := io.ReadFull(f, page); err != nil {
			return 0, nil, nil
		}
		seen := map[byte]bool{}
		for _, b := range page {
			seen[b] = true
		}
		if len(seen) >= 64 {
			return off, page, nil
		}
	}
	return 0, nil, nil
}

// find is where a page lies in a file, or -1.
func find(file string, page []byte) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	buf := make([]byte, 4<<20)
	kept := 0
	for base := int64(0); ; {
		n, err := f.Read(buf[kept:])
		if i := bytes.Index(buf[:kept+n], page); i >= 0 {
			return base + int64(i), nil
		}
		if err == io.EOF {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		keep := min(len(page)-1, kept+n)
		copy(buf, buf[kept+n-keep:kept+n])
		base += int64(kept + n - keep)
		kept = keep
	}
}

// GoBuild runs the Go compiler offline and without cgo, and renames its result into place.
func GoBuild(dir, pkg, out, goos, goarch string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	tmp := out + ".tmp"
	defer os.Remove(tmp)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", tmp, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local", "GO111MODULE=on")
	if goos != "" {
		cmd.Env = append(cmd.Env, "GOOS="+goos, "GOARCH="+goarch)
	}
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("internal error: the emitted module does not build: %w\n%s", err, strings.TrimSpace(string(msg)))
	}
	return os.Rename(tmp, out)
}
