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

// everything is all kernels that a program can carry, for every architecture in one module.
func everything() []codegen.Target {
	list := targets.For("")
	for _, arch := range []string{"amd64", "arm64"} {
		list = append(list, targets.For(arch)[1:]...)
	}
	return list
}

// machine is what programs run on: this one, or an emulated one of another architecture.
type machine struct {
	arch     string
	run      []string // the emulator
	flavours []string // the instruction sets it has
}

// machines are this one and, where qemu's user mode is found in PATH, an arm64 one.
func machines() []machine {
	host := machine{arch: runtime.GOARCH, flavours: []string{"purego"}}
	if rt.HasAVX2 {
		host.flavours = append(host.flavours, "avx2")
	}
	if rt.HasAVX512 {
		host.flavours = append(host.flavours, "avx512")
	}
	arm := machine{"arm64", []string{qemuArm64()}, []string{"purego", "neon"}}
	if host.arch == "arm64" {
		host.flavours = arm.flavours
	} else if arm.run[0] != "" {
		return []machine{host, arm}
	}
	return []machine{host}
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

// programs are models in one binary, on a machine.
type programs struct {
	machine
	binary string
	list   []*driver.Compiled
}

// path is the model file of program i.
func (p programs) path(i int) string { return p.list[i].Path }

// suites builds the models for every machine; suite for this one.
func suites(t *testing.T, list []*driver.Compiled) []programs {
	t.Helper()
	var out []programs
	for _, m := range machines() {
		out = append(out, suiteOn(t, list, m))
	}
	return out
}

func suite(t *testing.T, list []*driver.Compiled) programs {
	t.Helper()
	return suiteOn(t, list, machines()[0])
}

func suiteOn(t *testing.T, list []*driver.Compiled, m machine) programs {
	t.Helper()
	s, err := driver.BuildSuite(list, runtime.GOOS, m.arch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return programs{m, s.Binary, list}
}

// command runs program i with arguments.
func (p programs) command(i int, args ...string) *exec.Cmd {
	line := append(append([]string{}, p.run...), p.binary, fmt.Sprint(i))
	line = append(line, args...)
	return exec.Command(line[0], line[1:]...)
}

// runProgram runs program i and decodes its JSON.
func runProgram(t *testing.T, p programs, i int, doc any, args ...string) {
	t.Helper()
	cmd := p.command(i, args...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	if e := json.Unmarshal(out.Bytes(), doc); e != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out.Bytes(), msg.Bytes())
	}
}
