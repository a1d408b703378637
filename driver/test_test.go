package driver

import (
	"path/filepath"
	"testing"

	"mmc/codegen"
	"mmc/targets/purego"
)

// TestBatches builds models one by one, as many bytes of weights as they have are allowed together: results are in the models' order all
// the same, and one that cannot be read is a result.
func TestBatches(t *testing.T) {
	dirs := []string{"../golden/loops/recurrent", "../golden/loops/none", "../golden/loops/until", "../golden/loops/rows"}
	s := &tester{o: TestOptions{Options: Options{Targets: []codegen.Target{purego.New()}}, ATol: -1, RTol: -1}, most: 1}
	for _, dir := range dirs {
		s.add(dir)
	}
	s.flush()
	if len(s.results) != len(dirs) || s.built != 3 {
		t.Fatalf("%d results, %d programs: %+v", len(s.results), s.built, s.results)
	}
	for i, part := range s.results {
		if len(part) == 0 || part[0].Model != filepath.Base(dirs[i]) || part[0].Pass == (i == 1) {
			t.Errorf("%s: %+v", dirs[i], part)
		}
	}
}
