package golden

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/runtime"
)

// otherCPUs are CPUs that qemu's user mode emulates, and the kernels that a program must pick there.
var otherCPUs = []struct{ arch, cpu, isa string }{
	{"amd64", "Haswell", "avx2"}, {"amd64", "Nehalem", "purego"}, {"amd64", "max", "avx2"},
	{"arm64", "cortex-a53", "neon"}, {"arm64", "neoverse-n1", "neon"}, {"arm64", "max", "neon"},
}

var qemuName = map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}

// TestOtherCPUs runs one model's program on CPUs with less than this one: it picks the best kernels that the CPU has, with the same
// bits, and refuses the others with one line and their exit code.
func TestOtherCPUs(t *testing.T) {
	m := model{"models/digits-vit/model.onnx", "models/digits-vit"}
	compiled, want := []*driver.Compiled{compile(t, m.file)}, readDigests(t)
	for _, c := range otherCPUs {
		t.Run(c.arch+"/"+c.cpu, func(t *testing.T) {
			qemu, err := exec.LookPath(qemuName[c.arch])
			if err != nil {
				t.Skipf("no %s", qemuName[c.arch])
			}
			p := suiteOn(t, compiled, machine{arch: c.arch, run: []string{qemu, "-cpu", c.cpu}})
			var doc struct{ Results []rt.SetResult }
			runProgram(t, p, 0, &doc, "test", "--json", filepath.Join(m.sets, "test_data_set_0"))
			for _, r := range doc.Results {
				if r.ISA != c.isa {
					t.Errorf("runs on %s, want %s", r.ISA, c.isa)
				}
				checkSet(t, m, r, want)
			}
			refused(t, p, "avx512")
		})
	}
}

// refused wants a clear line and the exit code of a target that is not available.
func refused(t *testing.T, p programs, isa string) {
	out, err := p.command(0, "test", "--isa", isa, "models/digits-vit/test_data_set_0").CombinedOutput()
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "qemu-") { // it warns of features that it does not emulate
			lines = append(lines, line)
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != rt.ExitNotAvailable || len(lines) != 1 || !strings.Contains(lines[0], "not available here") {
		t.Errorf("--isa %s on %s: %v: %s", isa, p.arch, err, lines)
	}
}
