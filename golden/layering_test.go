package golden

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// allowed are the packages of this module that each may import; the order is the way of the data.
var allowed = map[string][]string{
	"mmc/ir/sym":               {},
	"mmc/ir/loop":              {"mmc/runtime/arith"},
	"mmc/ir":                   {"mmc/ir/sym", "mmc/ir/loop", "mmc/runtime/plain"},
	"mmc/ir/op":                {"mmc/ir", "mmc/ir/sym", "mmc/ir/loop", "mmc/runtime/plain"},
	"mmc/frontend/onnx/onnxpb": {},
	"mmc/frontend/onnx":        {"mmc/frontend/onnx/onnxpb", "mmc/ir", "mmc/ir/op", "mmc/ir/sym", "mmc/ir/loop"},
	"mmc/frontend/onnxgo":      {"mmc/ir", "mmc/ir/op", "mmc/ir/sym", "mmc/ir/loop"},
	"mmc/passes":               {"mmc/ir", "mmc/ir/op", "mmc/ir/sym", "mmc/ir/loop"},
	"mmc/runtime":              {"mmc/runtime/plain"},
	"mmc/codegen":              {"mmc/ir", "mmc/ir/op", "mmc/ir/sym", "mmc/ir/loop", "mmc/runtime"},
	"mmc/runtime/arith":        {},
	"mmc/runtime/plain":        {},
	"mmc/targets/purego":       {"mmc/codegen", "mmc/ir/loop", "mmc/runtime/arith"},
	"mmc/targets":              {"mmc/codegen", "mmc/targets/amd64", "mmc/targets/arm64", "mmc/targets/ptx", "mmc/targets/purego"},
	"mmc/targets/ptx":          {"mmc/codegen", "mmc/ir/loop", "mmc/runtime", "mmc/runtime/cuda"},
	"mmc/runtime/cuda":         {"mmc/runtime"},
	"mmc/runtime/cuda/libcuda": {"mmc/runtime/cuda"},
	"mmc/golden/ptxsim":        {},
	"mmc/targets/amd64":        {"mmc/codegen", "mmc/ir/loop"},
	"mmc/targets/arm64":        {"mmc/codegen", "mmc/ir/loop"},
	"mmc/driver":               {"mmc/codegen", "mmc/frontend/onnx", "mmc/passes", "mmc/ir", "mmc/ir/sym", "mmc/ir/loop", "mmc/runtime"},
	"mmc/cmd/mmc":              {"mmc/driver", "mmc/codegen", "mmc/frontend/onnx", "mmc/passes", "mmc/runtime", "mmc/targets"},
	"mmc/bench/probe":          {"mmc/runtime"},
	"mmc/golden":               {},
}

// TestLayering keeps the import directions, and the runtime on the standard library alone.
func TestLayering(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Doc", "mmc/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Doc string
			Imports         []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		want, known := allowed[p.ImportPath]
		if !known {
			t.Errorf("package %s is not in the table", p.ImportPath)
		}
		if p.Doc == "" {
			t.Errorf("package %s has no documentation", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "mmc/") && !contains(want, imp) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
			if p.ImportPath == "mmc/runtime" && strings.Contains(imp, ".") {
				t.Errorf("the runtime imports %s", imp)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
