package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/frontend/onnx/onnxpb"
	"mmc/runtime"
)

// TestStrings runs a model of strings: stop words, upper case, an ending from a constant, a comparison, a choice, a cut and an expression.
// Twice in one process would show strings of one run in another; a file of strings survives being written and read.
func TestStrings(t *testing.T) {
	text := func(name, s string) *onnxpb.AttributeProto { return &onnxpb.AttributeProto{Name: name, S: []byte(s)} }
	ending := &onnxpb.TensorProto{Name: "ending", DataType: 8, Dims: []int64{1}, StringData: [][]byte{[]byte("-\u00e9!")}}
	g := &onnxpb.GraphProto{Name: "g", Input: []*onnxpb.ValueInfoProto{port("x", 8, "n")},
		Output: []*onnxpb.ValueInfoProto{port("chosen", 8), port("parts", 8), port("counts", 7), port("match", 9)}, Initializer: []*onnxpb.TensorProto{ending},
		Node: []*onnxpb.NodeProto{
			intNode("StringNormalizer", "kept", []*onnxpb.AttributeProto{text("case_change_action", "UPPER"), {Name: "stopwords", Strings: [][]byte{[]byte("The"), []byte("a")}}}, "x"),
			intNode("StringConcat", "long", nil, "kept", "ending"),
			intNode("Constant", "fox", []*onnxpb.AttributeProto{text("value_string", "FOX")}),
			intNode("Equal", "same", nil, "kept", "fox"),
			intNode("Where", "chosen", nil, "same", "kept", "long"),
			{OpType: "StringSplit", Input: []string{"chosen"}, Output: []string{"parts", "counts"}, Attribute: []*onnxpb.AttributeProto{text("delimiter", "-"), {Name: "maxsplit", I: 1}}},
			intNode("RegexFullMatch", "match", []*onnxpb.AttributeProto{text("pattern", "[A-Z]+")}, "chosen"),
		}}
	m := opModel(g)
	m.OpsetImport[0].Version = 20
	dir := t.TempDir()
	file := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(file, marshal(t, m), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := driver.Compile(file, driver.Options{Targets: everything()})
	if err != nil {
		t.Fatal(err)
	}
	s := suite(t, []*driver.Compiled{c})
	for _, q := range []struct{ in, want string }{
		{"the|quick|fox|a", "QUICK-\u00e9!|FOX; QUICK|\u00e9!|FOX|; [2 1]; [0 1]"},
		{"THE|A", "-\u00e9!; |\u00e9!; [2]; [0]"},
	} {
		words := strings.Split(q.in, "|")
		in := filepath.Join(dir, "x.npy")
		if err := rt.WriteNpy(in, &rt.Value{Elem: rt.STRING, Shape: []int{len(words)}, Text: words}); err != nil {
			t.Fatal(err)
		}
		for _, isa := range s.flavours {
			var doc any
			runProgram(t, s, 0, &doc, "run", "--json", "--isa", isa, "-i", "x="+in, "-o", dir)
			var got []string
			for k := range 4 {
				v, err := rt.ReadFile(filepath.Join(dir, fmt.Sprintf("output_%d.npy", k)))
				if err != nil {
					t.Fatal(err)
				}
				if v.Elem == rt.STRING {
					got = append(got, strings.Join(v.Text, "|"))
					continue
				}
				numbers := make([]float64, v.Shape[0])
				for i := range numbers {
					numbers[i] = v.At(i)
				}
				got = append(got, fmt.Sprint(numbers))
			}
			if line := strings.Join(got, "; "); line != q.want {
				t.Errorf("%s on %s: %q, want %q", q.in, isa, line, q.want)
			}
		}
	}
}
