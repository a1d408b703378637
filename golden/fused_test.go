package golden

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestNothingFused keeps results the same on every processor: where no conversion stands between a product and a sum, Go's compiler makes one
// instruction of them that rounds once, if the processor has it (Go specification, "Floating-point operators"). It looks for these in
// what Go's compiler makes of the compiler and of the runtime. Emitted kernels are looked at by their digests on every target.
func TestNothingFused(t *testing.T) {
	if testing.Short() {
		t.Skip("builds everything twice")
	}
	asked := map[string]bool{"mmc/ir/loop.applyFloat": true} // math.FMA
	function, fused := regexp.MustCompile(`^(mmc\S*) STEXT`), regexp.MustCompile(`\s(FN?M(ADD|SUB)[SD]|VFN?M(ADD|SUB)[0-9]+S[SD])\s`)
	for _, env := range []string{"GOARCH=arm64", "GOARCH=amd64 GOAMD64=v3"} {
		cmd := exec.Command("go", "build", "-gcflags=mmc/...=-S", "mmc/...")
		cmd.Dir, cmd.Env = "..", append(os.Environ(), strings.Fields(env)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%.2000s", env, err, out)
		}
		in, functions := "", 0
		for line := range strings.Lines(string(out)) {
			if m := function.FindStringSubmatch(line); m != nil {
				in = m[1]
				functions++
			}
			if fused.MatchString(line) && !asked[in] {
				t.Errorf("%s: %s: %s", env, in, strings.TrimSpace(line))
			}
		}
		if functions < 1000 {
			t.Errorf("%s: %d functions seen", env, functions)
		}
	}
}
