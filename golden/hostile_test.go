package golden

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mmc/codegen"
	"mmc/frontend/onnx"
	"mmc/frontend/onnx/onnxpb"
	"mmc/passes"
)

func floats(v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func tensor(name string, dims ...int64) *onnxpb.TensorProto {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i%7) - 3
	}
	return &onnxpb.TensorProto{Name: name, DataType: 1, Dims: dims, RawData: floats(v...)}
}

func port(name string, elem int32, dims ...any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		p := &onnxpb.TensorShapeProto_Dimension{}
		switch d := d.(type) {
		case string:
			p.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d}
		case int:
			p.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}
		}
		shape.Dim = append(shape.Dim, p)
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{TensorType: &onnxpb.TypeProto_Tensor{ElemType: elem, Shape: shape}}}
}

// smallModel is a valid model of a few nodes; names are put through rename.
func smallModel(rename func(string) string) *onnxpb.ModelProto {
	n := rename
	node := func(op, out string, in ...string) *onnxpb.NodeProto {
		for i := range in {
			in[i] = n(in[i])
		}
		return &onnxpb.NodeProto{OpType: op, Name: n("node_" + out), Input: in, Output: []string{n(out)}}
	}
	axis := &onnxpb.AttributeProto{Name: "axis", Type: 2, I: -1}
	soft := node("Softmax", "p", "r")
	soft.Attribute = append(soft.Attribute, axis)
	w, b, sh := tensor(n("w"), 4, 5), tensor(n("b"), 5), &onnxpb.TensorProto{Name: n("shape"), DataType: 7, Dims: []int64{3}, Int64Data: []int64{0, -1, 5}}
	return &onnxpb.ModelProto{
		IrVersion: 8, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: 17}},
		Graph: &onnxpb.GraphProto{
			Name: n("g"), Initializer: []*onnxpb.TensorProto{w, b, sh},
			Input:  []*onnxpb.ValueInfoProto{port(n("x"), 1, n("batch"), 3, 4)},
			Output: []*onnxpb.ValueInfoProto{port(n("y"), 1, n("batch"), 3, 5)},
			Node: []*onnxpb.NodeProto{node("MatMul", "m", "x", "w"), node("Add", "a", "m", "b"), node("Relu", "r", "a"), soft,
				node("Reshape", "y", "p", "shape")},
		},
	}
}

func marshal(t *testing.T, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func plain(s string) string { return s }

// compileBytes takes a file's contents through the whole compiler up to the emitted text.
func compileBytes(data []byte, dir string) error {
	m, err := onnx.Decode(data, dir, onnx.Options{})
	if err != nil {
		return err
	}
	if _, err := passes.Run(m.Graph, passes.Pipeline, passes.Options{Verify: true}); err != nil {
		return err
	}
	p, err := codegen.Lower(m.Graph)
	if err != nil {
		return err
	}
	_, err = codegen.Program(p, everything(), codegen.Options{Digest: m.Digest})
	return err
}

// mustBeTyped wants success, a *Rejected or an *Unsupported, in bounded time.
func mustBeTyped(t *testing.T, what string, data []byte) {
	t.Helper()
	start := time.Now()
	err := compileBytes(data, t.TempDir())
	var rej *onnx.Rejected
	var uns *onnx.Unsupported
	if err != nil && !errors.As(err, &rej) && !errors.As(err, &uns) {
		t.Fatalf("%s: %v\nmodel: %.2000x", what, err, data)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Fatalf("%s took %v", what, d)
	}
}

func TestSmallModelIsValid(t *testing.T) {
	if err := compileBytes(marshal(t, smallModel(plain)), t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestTruncated(t *testing.T) {
	data := marshal(t, smallModel(plain))
	for i := range data {
		mustBeTyped(t, fmt.Sprintf("cut at byte %d", i), data[:i])
	}
}

// TestMutated changes bytes, bits and runs of a valid file at random, ten thousand times.
func TestMutated(t *testing.T) {
	data := marshal(t, smallModel(plain))
	rng := rand.New(rand.NewSource(1))
	for i := range 10000 {
		mutant := append([]byte{}, data...)
		for range 1 + rng.Intn(3) {
			at := rng.Intn(len(mutant))
			switch rng.Intn(5) {
			case 0:
				mutant[at] = byte(rng.Intn(256))
			case 1:
				mutant[at] ^= 1 << rng.Intn(8)
			case 2:
				mutant = append(mutant[:at], mutant[min(len(mutant), at+1+rng.Intn(4)):]...)
			case 3:
				mutant = append(mutant[:at:at], append([]byte{0xff, 0xff, 0xff}[:rng.Intn(4)], mutant[at:]...)...)
			default:
				copy(mutant[at:], mutant[rng.Intn(len(mutant)):])
			}
			if len(mutant) == 0 {
				mutant = []byte{0}
			}
		}
		mustBeTyped(t, fmt.Sprintf("mutant %d", i), mutant)
	}
}

// TestOtherInputs gives every node of the models of com.microsoft's operators, in the place of each of its inputs, none and others of the
// graph.
func TestOtherInputs(t *testing.T) { otherInputs(t, "contrib/*/model.onnx", 4) }

// TestOtherInputsOfLoops does so with loops, the nodes in their graphs included, and TestOtherInputsOfExports with other exporters' models.
func TestOtherInputsOfLoops(t *testing.T)   { otherInputs(t, "loops/*/model.onnx", 4) }
func TestOtherInputsOfExports(t *testing.T) { otherInputs(t, "exports/*/model.onnx", 1) }

// TestOtherInputsOfCases does so with ONNX's own cases.
func TestOtherInputsOfCases(t *testing.T) {
	otherInputs(t, filepath.Join(shared(t, "onnx-backend"), "node/*/model.onnx"), 1)
}

// mostInputs is about how many inputs of a model otherInputs looks at.
const mostInputs = 250

// otherInputs puts none and so many others in the place of each input of each node of the files, of some inputs where there are many.
func otherInputs(t *testing.T, pattern string, count int) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no models: %v", err)
	}
	rng := rand.New(rand.NewSource(1))
	for _, file := range files {
		otherInputsOf(t, file, rng, count)
	}
}

func otherInputsOf(t *testing.T, file string, rng *rand.Rand, count int) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := &onnxpb.ModelProto{}
	if err := m.Unmarshal(data); err != nil {
		t.Fatal(err)
	}
	otherInputsIn(t, file, m, m.Graph, nil, rng, count, countInputs(m.Graph))
}

func countInputs(g *onnxpb.GraphProto) int {
	n := 0
	for _, x := range g.Node {
		n += len(x.Input)
		for _, a := range x.Attribute {
			if a.G != nil {
				n += countInputs(a.G)
			}
		}
	}
	return n
}

// otherInputsIn does so with the nodes of a graph; around are names of the graphs around it, inputs how many there are in the model.
func otherInputsIn(t *testing.T, file string, m *onnxpb.ModelProto, g *onnxpb.GraphProto, around []string, rng *rand.Rand, count, inputs int) {
	others := slices.Clone(around)
	for _, x := range g.Initializer {
		others = append(others, x.Name)
	}
	for _, x := range g.Input {
		others = append(others, x.Name)
	}
	for _, n := range g.Node {
		for i, was := range n.Input {
			if inputs > mostInputs && rng.Intn(inputs) >= mostInputs {
				continue
			}
			list := []string{""}
			for _, k := range rng.Perm(len(others))[:min(count, len(others))] {
				list = append(list, others[k])
			}
			for _, other := range list {
				n.Input[i] = other
				mustBeTyped(t, fmt.Sprintf("%s: input %d of %s is %q", file, i, n.OpType, other), marshal(t, m))
			}
			n.Input[i] = was
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				otherInputsIn(t, file, m, a.G, others, rng, count, inputs)
			}
		}
		others = append(others, n.Output...)
	}
}

// TestNested wraps a graph in an attribute in a node in a graph, a hundred thousand deep.
func TestNested(t *testing.T) {
	wrap := func(field byte, body []byte) []byte {
		return append(append([]byte{field<<3 | 2}, binary.AppendUvarint(nil, uint64(len(body)))...), body...)
	}
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	body := []byte{}
	for range 3000 { // building is quadratic; the limit is far below
		body = wrap(1, wrap(5, wrap(6, body)))
	}
	deep := wrap(7, body)
	mustBeTyped(t, "nested graphs", deep)
	// 100,000 levels, written from the inside out with lengths computed first.
	sizes := make([]int, 100001)
	for i := 1; i < len(sizes); i++ {
		sizes[i] = sizes[i-1] + 1 + len(binary.AppendUvarint(nil, uint64(sizes[i-1])))
	}
	var file bytes.Buffer
	for i := len(sizes) - 1; i > 0; i-- {
		file.WriteByte([]byte{6, 1, 5}[i%3]<<3 | 2)
		file.Write(binary.AppendUvarint(nil, uint64(sizes[i-1])))
	}
	mustBeTyped(t, "100,000 levels", wrap(7, file.Bytes()))
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 1<<30 {
		t.Errorf("reading took %d bytes", grown)
	}
}

func TestHugeSizes(t *testing.T) {
	for _, dims := range [][]int64{{1 << 62, 4}, {1 << 31, 1 << 31, 1 << 31}, {-1}, {1 << 40, 1 << 40}, {math.MaxInt64}} {
		m := smallModel(plain)
		m.Graph.Initializer[0].Dims = dims
		var rej *onnx.Rejected
		if err := compileBytes(marshal(t, m), t.TempDir()); !errors.As(err, &rej) {
			t.Errorf("weights of shape %v: %v", dims, err)
		}
	}
	m := smallModel(plain)
	m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: "ConstantOfShape", Input: []string{"big"}, Output: []string{"bomb"}})
	m.Graph.Initializer = append(m.Graph.Initializer, &onnxpb.TensorProto{Name: "big", DataType: 7, Dims: []int64{4}, Int64Data: []int64{1 << 20, 1 << 20, 1 << 20, 1 << 20}})
	m.Graph.Output = append(m.Graph.Output, port("bomb", 1))
	var rej *onnx.Rejected
	if err := compileBytes(marshal(t, m), t.TempDir()); !errors.As(err, &rej) {
		t.Errorf("a tensor of 2^80 elements: %v", err)
	}
}

// TestExternalData wants everything but a plain file below the model's folder refused, and links allowed when trusted.
func TestExternalData(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret.bin")
	data := floats(make([]float32, 20)...)
	if err := os.WriteFile(secret, data, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	check := func(name, location string, trust, want bool, extra ...string) {
		t.Helper()
		m := smallModel(plain)
		w := m.Graph.Initializer[0]
		w.RawData, w.DataLocation = nil, 1
		w.ExternalData = []*onnxpb.StringStringEntryProto{{Key: "location", Value: location}}
		for i := 0; i+1 < len(extra); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: extra[i], Value: extra[i+1]})
		}
		_, err := onnx.Decode(marshal(t, m), dir, onnx.Options{TrustLinks: trust})
		var rej *onnx.Rejected
		if want && err != nil || !want && !errors.As(err, &rej) {
			t.Errorf("%s (trust links: %v): %v", name, trust, err)
		}
		if want := `external data "missing.bin": no such file or directory`; location == "missing.bin" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(dir, "w.bin"), data, 0o644))
	must(os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	must(os.Symlink(secret, filepath.Join(dir, "sym.bin")))
	must(os.Symlink(outside, filepath.Join(dir, "symdir")))
	must(os.Symlink("w.bin", filepath.Join(dir, "inner.bin")))
	must(os.WriteFile(filepath.Join(dir, "h.bin"), data, 0o644))
	must(os.Link(filepath.Join(dir, "h.bin"), filepath.Join(dir, "hard.bin")))
	check("a plain file", "w.bin", false, true)
	check("a plain file with its range", "w.bin", false, true, "offset", "0", "length", "80")
	for _, bad := range []string{"../" + filepath.Base(outside) + "/secret.bin", secret, "folder/../../x", "", ".", "folder", "file://w.bin", `..\x`, "missing.bin", "w.bin\x00"} {
		check(fmt.Sprintf("location %q", bad), bad, false, false)
	}
	for _, link := range []string{"sym.bin", "symdir/secret.bin", "hard.bin", "inner.bin"} {
		check(link, link, false, false)
		check(link, link, true, true)
	}
	for _, kv := range [][2]string{{"offset", "-4"}, {"offset", "4"}, {"length", "79"}, {"offset", "x"}, {"offset", "9223372036854775807"}, {"colour", "red"}} {
		check(kv[0]+"="+kv[1], "w.bin", false, false, kv[0], kv[1])
	}
}

// TestHostileNames compares the emitted code of a model with names made to break out with its benign twin's: only the name
// table may differ.
func TestHostileNames(t *testing.T) {
	evil := []string{"x\nfunc init(){ panic(1) }\n//", "*/ import \"os/exec\" /*", "`+\"\\", "//go:embed /etc/passwd", "\u202e", "../../x", "CON", "func", strings.Repeat("n", 4000), "\x00\xff"}
	count := 0
	names := map[string]string{}
	hostile := func(s string) string {
		if names[s] == "" {
			names[s] = fmt.Sprintf("%s%d", evil[count%len(evil)], count)
			count++
		}
		return names[s]
	}
	emit := func(rename func(string) string) map[string]string {
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, marshal(t, smallModel(rename)), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if err := compile(t, path).Emit(out); err != nil {
			t.Fatal(err)
		}
		return readTree(t, out)
	}
	benign, bad := emit(plain), emit(hostile)
	if len(benign) != len(bad) {
		t.Errorf("%d files for the benign model, %d for the hostile one", len(benign), len(bad))
	}
	for name, text := range benign {
		if name != "names.go" && bad[name] != text {
			t.Errorf("%s differs", name)
		}
	}
	if !strings.Contains(bad["names.go"], `func init(){ panic(1) }`) || strings.Contains(bad["names.go"], "\nfunc init") {
		t.Error("the name table does not hold the hostile name as a quoted string")
	}
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOutputFolder refuses to write into a folder that holds something else, or through a link.
func TestOutputFolder(t *testing.T) {
	c := compile(t, own[2].file)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Emit(dir); err == nil {
		t.Error("a folder with a stranger's file was written to")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := c.Emit(link); err == nil {
		t.Error("a link was followed")
	}
}
