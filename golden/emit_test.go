package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goTool runs the go command in an emitted module: offline, without cgo unless the race detector needs it.
func goTool(t *testing.T, dir string, cgo string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func emitted(t *testing.T, file, sets string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "module")
	if err := compile(t, file).Emit(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(sets)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestEmittedModule vets and tests an emitted module as its owner would, with the checks of testdata/module beside its own:
// no allocation after warm-up, many goroutines with different shapes, rows of a batch, short pauses of the collector.
func TestEmittedModule(t *testing.T) {
	dir := emitted(t, own[0].file, own[0].sets)
	extra, err := os.ReadFile("testdata/module/extra_test.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "extra_test.go"), extra, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
	goTool(t, dir, "0", "vet", "./...")
	t.Log(goTool(t, dir, "0", "test", "-count=1", "-v", "./..."))
	if os.Getenv("MMC_RACE") != "" {
		goTool(t, dir, "1", "test", "-race", "-count=1", "-run", "Golden|Goroutines", "./...")
	}
}

// TestDeterministic emits twice, in two folders and with different GOMAXPROCS.
func TestDeterministic(t *testing.T) {
	var trees []map[string]string
	for _, procs := range []string{"1", "2"} {
		out := filepath.Join(t.TempDir(), "module")
		cmd := exec.Command("go", "run", "../cmd/mmc", "emit", own[3].file, "-o", out)
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+procs)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		trees = append(trees, readTree(t, out))
	}
	if len(trees[0]) != len(trees[1]) {
		t.Errorf("%d and %d files", len(trees[0]), len(trees[1]))
	}
	for name, text := range trees[0] {
		if trees[1][name] != text {
			t.Errorf("%s differs", name)
		}
	}
}

// TestStatic wants a binary without an interpreter: nothing to load at run time.
func TestStatic(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	c := compile(t, own[2].file)
	if err := c.Build(bin); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data[:4096]), "ld-linux") {
		t.Error("the binary names a dynamic loader")
	}
	if extra := int64(len(data)) - c.Plan.WeightBytes(); extra > 5<<20 {
		t.Errorf("the binary has %d bytes besides weights", extra)
	}
}
