package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"mmc/codegen"
	"mmc/driver"
	"mmc/runtime"
	"mmc/targets"
)

// everything is all kernels that a program for this machine's architecture can carry.
func everything() []codegen.Target { return targets.For(runtime.GOARCH) }

// flavours are the instruction sets that this machine runs.
func flavours() []string {
	list := []string{"purego"}
	if runtime.GOARCH == "arm64" {
		list = append(list, "neon")
	}
	if rt.HasAVX2 {
		list = append(list, "avx2")
	}
	if rt.HasAVX512 {
		list = append(list, "avx512")
	}
	return list
}

// shared is a folder of test data beside the repository; tests that need it are left out where it is missing.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("MMC_TESTDATA")
	if dir == "" {
		dir = "../../shared"
	}
	dir = filepath.Join(dir, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("test data not at hand (set MMC_TESTDATA): %v", err)
	}
	return dir
}

func compile(t *testing.T, path string) *driver.Compiled {
	t.Helper()
	c, err := driver.Compile(path, driver.Options{Targets: everything(), Verify: true})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func suite(t *testing.T, list []*driver.Compiled) *driver.Suite {
	t.Helper()
	s, err := driver.BuildSuite(list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// runProgram runs program i of a suite and decodes its JSON.
func runProgram(t *testing.T, s *driver.Suite, i int, doc any, args ...string) {
	t.Helper()
	cmd := exec.Command(s.Binary, append([]string{fmt.Sprint(i)}, args...)...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	if e := json.Unmarshal(out.Bytes(), doc); e != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out.Bytes(), msg.Bytes())
	}
}
