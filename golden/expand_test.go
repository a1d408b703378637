package golden

import (
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"mmc/driver"
	"mmc/ir"
)

// TestExpanded wants the lines of a layer's result made inside the depthwise convolution where that is its only reader and the image is
// large, and nowhere else. That they are right is for TestOps.
func TestExpanded(t *testing.T) {
	want := map[string][]string{
		"expanded":           {"linear+relu+depthwise+relu", "linear+silu+depthwise+means"},
		"expanded few lines": {"linear+depthwise", "linear+gelu+depthwise"},
		"not expanded":       {"linear", "depthwise", "linear", "depthwise", "linear", "depthwise"},
	}
	a, err := txtar.ParseFile("ops/conv.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if want[f.Name] == nil {
			continue
		}
		g, err := ir.Parse(f.Name, f.Data)
		if err != nil {
			t.Fatal(err)
		}
		c, err := driver.FromGraph(g, driver.Options{Targets: everything()})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, call := range c.Plan.Calls {
			kinds = append(kinds, call.Kind)
		}
		if !slices.Equal(kinds, want[f.Name]) {
			t.Errorf("%s: %q, want %q", f.Name, kinds, want[f.Name])
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("no cases for %v", want)
	}
}
