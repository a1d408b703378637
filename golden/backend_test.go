package golden

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mmc/driver"
	"mmc/frontend/onnx"
	"mmc/runtime"
)

// leastBackendCases is how many of ONNX's own operator cases must pass; it may only grow.
const leastBackendCases = 555

// rounded are cases whose expected values are written with four digits, fewer than the tolerance asks for.
var rounded = map[string]bool{"test_averagepool_2d_ceil_last_window_starts_on_pad": true}

// TestBackendCases compiles every conformance case that can be read, many in one build, and wants all of them to pass on the
// best flavour. Cases that need an operator, a type or a feature that is not supported say so in their error.
func TestBackendCases(t *testing.T) {
	dir := shared(t, "onnx-backend/node")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []*driver.Compiled
	var where []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		c, err := driver.CompileFor(path, driver.Options{Targets: everything(), Verify: true})
		var uns *onnx.Unsupported
		if errors.As(err, &uns) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		list, where = append(list, c), append(where, path)
	}
	t.Logf("%d cases can be read", len(list))
	if len(list) < leastBackendCases {
		t.Errorf("%d cases can be read, want at least %d", len(list), leastBackendCases)
	}
	const batch = 60
	for at := 0; at < len(list); at += batch {
		end := min(at+batch, len(list))
		s := suite(t, list[at:end])
		for i := at; i < end; i++ {
			var doc struct{ Results []rt.SetResult }
			runProgram(t, s, i-at, &doc, "test", "--json", where[i])
			for _, r := range doc.Results {
				if name := filepath.Base(where[i]); !r.Pass && !rounded[name] {
					t.Errorf("%s: %+v", name, r)
				}
			}
		}
	}
}
