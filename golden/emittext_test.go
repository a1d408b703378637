package golden

import (
	"os"
	"strings"
	"testing"

	"mmc/codegen"
	"mmc/ir/loop"
	"mmc/ir/op"
)

// TestEmittedText compares the text of a few small kernels with emit/; MMC_UPDATE=1 writes it anew. Read the diff: this is what
// people see of the compiler.
func TestEmittedText(t *testing.T) {
	for _, target := range everything() {
		u, err := target.Emit(codegen.Wanted{Rows: []*loop.Kernel{op.EpilogueKernel(op.LinearAttr{Act: "relu"}, true, false), op.SoftmaxRow("softmax", op.AttentionAttr{Scale: 0.5, Guard: true}, true)},
			Walks: []*loop.Kernel{op.Taps{Kind: "dot", Places: 3, First: true, Last: true, Bias: true, Act: op.LinearAttr{Act: "relu"}}.Kernel()}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range u.Files {
			text := string(f.Data)
			if strings.HasSuffix(f.Path, ".s") { // the smallest tile, the row and the walk kernels
				i := strings.Index(text, "// tile_f32_1x16")
				j := i + strings.Index(text[i:], "\n\n")
				text = text[i:j] + "\n\n" + text[strings.Index(text, "// row0"):]
			}
			file := "emit/" + f.Path + ".txt"
			if os.Getenv("MMC_UPDATE") != "" {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != text {
				t.Errorf("%s differs from what is emitted (%v)", file, err)
			}
		}
	}
}
