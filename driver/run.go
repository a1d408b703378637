package driver

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"mmc/codegen"
)

// Cached builds the model's binary, or finds it in the user's cache: the key is the model, the options and the compiler's own
// emitted text.
func (c *Compiled) Cached() (string, error) {
	files, err := c.sources()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, c.Model.Digest, c.o.GOOS, c.o.GOARCH, c.Plan.WeightBytes())
	if err := c.Plan.WriteWeights(h); err != nil {
		return "", err
	}
	for _, f := range files {
		fmt.Fprintln(h, f.Path, len(f.Data))
		h.Write(f.Data)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "mmc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	bin := filepath.Join(dir, fmt.Sprintf("%x", h.Sum(nil)[:16]))
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	return bin, c.Build(bin)
}

func (c *Compiled) sources() ([]codegen.File, error) {
	o := codegen.Options{Digest: c.Model.Digest, Accelerator: c.o.Accelerator}
	program, err := codegen.Program(c.Plan, c.o.Targets, o)
	if err != nil {
		return nil, err
	}
	return codegen.Module(program, o)
}

// Suite is several models in one module: one go build for all of them.
type Suite struct {
	Programs []*Compiled
	Binary   string
	dir      string
}

// BuildSuite emits every program as a package of one module and builds a binary, for this machine if goos and goarch are empty, whose
// first argument picks the program.
func BuildSuite(list []*Compiled, goos, goarch string) (*Suite, error) {
	dir, err := os.MkdirTemp("", "mmc-suite-")
	if err != nil {
		return nil, err
	}
	s := &Suite{Programs: list, Binary: filepath.Join(dir, "suite"), dir: dir}
	if err := s.build(goos, goarch); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close removes the suite's files.
func (s *Suite) Close() { os.RemoveAll(s.dir) }

func (s *Suite) build(goos, goarch string) error {
	files, err := codegen.RuntimeFiles("rt/")
	if err != nil {
		return err
	}
	var imports, table strings.Builder
	for i, c := range s.Programs {
		pkg := fmt.Sprintf("m%d", i)
		sub := filepath.Join(s.dir, pkg)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		program, err := c.program(sub, codegen.Options{Package: pkg, Accelerator: c.o.Accelerator})
		if err != nil {
			return fmt.Errorf("%s: %w", c.Path, err)
		}
		for _, f := range program {
			files = append(files, codegen.File{Path: pkg + "/" + f.Path, Data: f.Data})
		}
		fmt.Fprintf(&imports, "\t\"model/%s\"\n", pkg)
		fmt.Fprintf(&table, "\t&%s.Program,\n", pkg)
	}
	mod := "module model\n\ngo 1.26\n"
	if a := s.Programs[0].o.Accelerator; a != nil {
		more, err := codegen.AcceleratorFiles(codegen.Options{Accelerator: a})
		if err != nil {
			return err
		}
		files = append(files, append(more, codegen.File{Path: "go.sum", Data: []byte(a.Sums)})...)
		mod += a.Requirement()
	}
	main := "package main\n\nimport (\n\t\"os\"\n\t\"strconv\"\n\n\t\"model/rt\"\n" + imports.String() + ")\n\nvar programs = []*rt.Program{\n" + table.String() +
		"}\n\nfunc main() {\n\ti, _ := strconv.Atoi(os.Args[1])\n\tos.Exit(rt.Main(programs[i], os.Args[2:]))\n}\n"
	files = append(files, codegen.File{Path: "go.mod", Data: []byte(mod)}, codegen.File{Path: "main.go", Data: []byte(main)})
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	if err := writeFiles(s.dir, files); err != nil {
		return err
	}
	return GoBuild(s.dir, ".", s.Binary, goos, goarch)
}
