package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mmc/ir/loop"
	"mmc/targets/ptx"
)

// ptxModule is the PTX of all row kernels in every use.
func ptxModule(t *testing.T) string {
	ks := rowKernels(t)
	uses := make([]ptx.Use, len(ks))
	for i, k := range ks {
		uses[i].Rows = true
		uses[i].Epilogue = elementwise(k)
		uses[i].Softmax = k.Name == "softmax" && len(k.Bufs) <= 3
		uses[i].Embedding = len(k.Bufs) == 2
	}
	return ptx.Module(ks, uses)
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

// TestPTXAssembles has ptxas assemble every kernel for sm_80 and sm_90a, without a spill.
func TestPTXAssembles(t *testing.T) {
	tool, file := ptxas(t), filepath.Join(t.TempDir(), "kernels.ptx")
	if err := os.WriteFile(file, []byte(ptxModule(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"sm_80", "sm_90a"} {
		out, err := exec.Command(tool, "-v", "-arch="+arch, "-o", file+".cubin", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		for _, m := range spills.FindAllStringSubmatch(string(out), -1) {
			if m[1] != "0" {
				t.Errorf("%s: %s", arch, m[0])
			}
		}
		if !strings.Contains(string(out), "registers") {
			t.Errorf("%s: no report: %s", arch, out)
		}
	}
}
