package golden

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/frontend/onnx"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/runtime"
)

// backendSuites are the folders of ONNX's conformance cases, and how many cases each has.
var backendSuites = map[string]int{"node": 1453, "simple": 23, "pytorch-operator": 35, "pytorch-converted": 82}

// rounded are cases whose expected values are written with four digits, fewer than the tolerance asks for.
var rounded = map[string]string{
	"node/test_averagepool_2d_ceil_last_window_starts_on_pad": "the expected values have four digits",
	"node/test_gridsample_bicubic":                            "the expected values have four digits",
	"node/test_roialign_aligned_false":                        "the expected values have four digits",
	"node/test_roialign_aligned_true":                         "the expected values have four digits",
}

// TestBackendCases compiles every conformance case, many in one build, and runs it on the best flavour. The cases that do not pass stand
// in backend.txt with the reason; MMC_UPDATE=1 takes those out that pass now, and nothing else: the list can only shrink.
func TestBackendCases(t *testing.T) {
	known := readReasons(t)
	failed := map[string]string{}
	var list []*driver.Compiled
	var names []string
	dir := ""
	for suite, count := range backendSuites {
		dir = shared(t, "onnx-backend")
		entries, err := os.ReadDir(filepath.Join(dir, suite))
		if err != nil {
			t.Fatal(err)
		}
		cases := 0
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			cases++
			name := suite + "/" + e.Name()
			c, err := driver.CompileFor(filepath.Join(dir, name), driver.Options{Targets: everything(), Verify: true})
			if err != nil {
				failed[name] = reason(err)
				continue
			}
			list, names = append(list, c), append(names, name)
		}
		if cases != count {
			t.Errorf("%s has %d cases, want %d", suite, cases, count)
		}
	}
	runCases(t, dir, list, names, failed)
	for name, why := range failed {
		if known[name] == "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	for name := range known {
		if failed[name] != "" {
			continue
		}
		if delete(known, name); os.Getenv("MMC_UPDATE") == "" {
			t.Errorf("%s passes: take it out of backend.txt", name)
		}
	}
	t.Logf("%d cases pass, %d do not", len(list)+len(failed)-len(known), len(known))
	if os.Getenv("MMC_UPDATE") != "" {
		writeReasons(t, known)
	}
}

// runCases runs compiled cases in batches and files those that differ.
func runCases(t *testing.T, dir string, list []*driver.Compiled, names []string, failed map[string]string) {
	const batch = 60
	for at := 0; at < len(list); at += batch {
		end := min(at+batch, len(list))
		s := suite(t, list[at:end])
		for i := at; i < end; i++ {
			var doc struct{ Results []rt.SetResult }
			runProgram(t, s, i-at, &doc, "test", "--json", filepath.Join(dir, names[i]))
			for _, r := range doc.Results {
				if r.Pass {
					continue
				}
				if failed[names[i]] = rounded[names[i]]; rounded[names[i]] == "" {
					failed[names[i]] = fmt.Sprintf("%+v", r)
				}
			}
		}
	}
}

// reason is one line that says why a case cannot be compiled.
func reason(err error) string {
	var uns *onnx.Unsupported
	if errors.As(err, &uns) && len(uns.List) > 0 {
		return uns.List[0].Op + ": " + uns.List[0].Why
	}
	return strings.Split(err.Error(), "\n")[0]
}

const reasonsFile = "backend.txt"

func readReasons(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	data, err := os.ReadFile(reasonsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		name, why, _ := strings.Cut(line, " ")
		if name != "#" && name != "" {
			out[name] = why
		}
	}
	return out
}

func writeReasons(t *testing.T, list map[string]string) {
	t.Helper()
	var lines []string
	for name, why := range list {
		lines = append(lines, name+" "+why+"\n")
	}
	sort.Strings(lines)
	text := "# Conformance cases of ONNX that do not pass, and why. The test lets this list shrink only.\n" + strings.Join(lines, "")
	if err := os.WriteFile(reasonsFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var light = flag.Bool("light", true, "run ONNX's light models, nine convolutional networks at their real size")

// TestLightModels runs ONNX's light models, whose weights are constants, on inputs that count from 0 to 1.
func TestLightModels(t *testing.T) {
	if !*light {
		t.Skip("left out by -light=false")
	}
	files, err := filepath.Glob(filepath.Join(shared(t, "onnx-backend"), "light", "*.onnx"))
	if err != nil || len(files) != 9 {
		t.Fatalf("%d light models, %v; want 9", len(files), err)
	}
	var list []*driver.Compiled
	for _, f := range files {
		c, err := driver.Compile(f, driver.Options{Targets: everything()})
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		list = append(list, c)
	}
	s := suite(t, list)
	for i, f := range files {
		dir := t.TempDir()
		args := []string{"run", "--json", "-o", dir}
		for k, v := range list[i].Graph.Inputs {
			x := ir.NewTensor(loop.F32, ir.ConstShape(v.Shape)...)
			n := x.Len()
			for j := range n {
				x.Set(j, loop.Scalar{F: float64(float32(float64(j) / float64(n)))})
			}
			file := filepath.Join(dir, fmt.Sprintf("in%d.npy", k))
			if err := rt.WriteNpy(file, rtValue(x)); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-i", v.Name+"="+file)
		}
		var doc any
		runProgram(t, s, i, &doc, args...)
		got, err := rt.ReadFile(filepath.Join(dir, "output_0.npy"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := rt.ReadFile(strings.TrimSuffix(f, ".onnx") + "_output_0.pb")
		if err != nil {
			t.Fatal(err)
		}
		if c := rt.Compare(got, want, rt.DefaultATol, rt.DefaultRTol); !c.Pass {
			t.Errorf("%s: max_abs %g max_rel %g: %s", filepath.Base(f), c.MaxAbs, c.MaxRel, c.Why)
		}
	}
}
