package golden

import (
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"mmc/driver"
	"mmc/ir"
)

// TestCalls wants several nodes in one call where that is meant to be, and nowhere else: a layer inside the depthwise convolution that is its
// only reader, where the image is large; a widening layer and a narrowing one. That they are right is for TestOps.
func TestCalls(t *testing.T) {
	want := map[string][]string{
		"expanded":           {"linear+relu+depthwise+relu", "linear+silu+depthwise+means"},
		"expanded few lines": {"linear+depthwise", "linear+gelu+depthwise"},
		"not expanded":       {"linear", "depthwise", "linear", "depthwise", "linear", "depthwise"},
		"two layers":         {"linear+gelu+linear", "linear+relu+linear+relu", "linear+linear+tanh"},
	}
	for _, file := range []string{"ops/conv.txtar", "ops/linear.txtar"} {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if want[f.Name] == nil {
				continue
			}
			if got := callKinds(t, f); !slices.Equal(got, want[f.Name]) {
				t.Errorf("%s: %q, want %q", f.Name, got, want[f.Name])
			}
			delete(want, f.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("no cases for %v", want)
	}
}

// callKinds are the kinds of the calls of a graph's program.
func callKinds(t *testing.T, f txtar.File) (kinds []string) {
	g, err := ir.Parse(f.Name, f.Data)
	if err != nil {
		t.Fatal(err)
	}
	c, err := driver.FromGraph(g, driver.Options{Targets: everything()})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range c.Plan.Calls {
		kinds = append(kinds, call.Kind)
	}
	return kinds
}
