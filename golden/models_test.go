package golden

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/frontend/onnx/onnxpb"
	"mmc/runtime"
)

// model is a file and the folder of its data sets.
type model struct{ file, sets string }

var own = []model{
	{"models/dates-bert/model.onnx", "models/dates-bert"}, {"models/dates-bert/model-dynamo.onnx", "models/dates-bert"},
	{"models/digits-vit/model.onnx", "models/digits-vit"}, {"models/digits-vit/model-dynamo.onnx", "models/digits-vit"},
}

// standIns are the models that standins/make.py makes for systems that no model beside this repository stands for.
var standIns = []string{"all-in-one", "lstm-seq2seq", "videobert", "vit-22b", "vit-22b-dynamo"}

func TestStandIns(t *testing.T) {
	var list []model
	for _, name := range standIns {
		list = append(list, model{filepath.Join("models", name, "model.onnx"), filepath.Join("models", name)})
	}
	checkModels(t, list)
}

// TestContrib runs the models of com.microsoft's operators that contrib/make.py makes, whose results are ONNX Runtime's.
func TestContrib(t *testing.T) { checkModels(t, modelsIn(t, "contrib", 11)) }

// TestExports runs what Keras and Flax give, through tf2onnx and jax2onnx, and what transformers writes in rare ways: exports/*_models.py make them.
func TestExports(t *testing.T) { checkModels(t, modelsIn(t, "exports", 17)) }

// TestLoops runs loops that stay in the program; loops/make.py makes them.
func TestLoops(t *testing.T) { checkModels(t, modelsIn(t, "loops", 10)) }

// TestNodeOrder runs the loops with their nodes in the opposite order, those of their graphs too.
func TestNodeOrder(t *testing.T) {
	list := modelsIn(t, "loops", 10)
	for i, m := range list {
		data, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		p := &onnxpb.ModelProto{}
		if err := p.Unmarshal(data); err != nil {
			t.Fatal(err)
		}
		reverseNodes(p.Graph)
		list[i].file = filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(list[i].file, marshal(t, p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	checkModels(t, list)
}

func reverseNodes(g *onnxpb.GraphProto) {
	slices.Reverse(g.Node)
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.G != nil {
				reverseNodes(a.G)
			}
		}
	}
}

// modelsIn are the models of a folder, each in a folder of its own; there must be so many.
func modelsIn(t *testing.T, dir string, least int) []model {
	files, err := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	if err != nil || len(files) < least {
		t.Fatalf("%d models in %s: %v", len(files), dir, err)
	}
	var list []model
	for _, f := range files {
		list = append(list, model{f, filepath.Dir(f)})
	}
	return list
}

// TestOwnModels runs the models of this repository; TestSharedModels the BERT- and ViT-like f32 ones beside it.
func TestOwnModels(t *testing.T) { checkModels(t, own) }

func TestSharedModels(t *testing.T) { checkModels(t, sharedModels(t)) }

func sharedModels(t *testing.T) []model {
	dir := shared(t, "models")
	var list []model
	for _, name := range []string{"tiny-bert", "tiny-bert-classify", "tiny-bert-classify-dynamo", "tiny-bert-dynamo", "tiny-bert-dynamo23",
		"tiny-bert-dynamo24", "tiny-bert-eager", "tiny-vit", "tiny-vit-dynamo", "tiny-vit-dynamo23", "tiny-vit-timm", "tiny-vit-timm-dynamo",
		"tiny-videomae", "tiny-videomae-dynamo", "tiny-vit-interpolate", "tiny-vit-interpolate-dynamo", "tiny-yolos", "tiny-yolos-dynamo"} {
		list = append(list, model{filepath.Join(dir, name, "model.onnx"), filepath.Join(dir, name)})
	}
	return list
}

// TestMiniLM runs the real sentence-embedding model that MMC_MINILM names, a download of 90 MB.
func TestMiniLM(t *testing.T) {
	file := os.Getenv("MMC_MINILM")
	if file == "" {
		t.Skip("set MMC_MINILM to all-minilm-l6-v2.onnx")
	}
	checkModels(t, []model{{file, filepath.Join(shared(t, "models"), "real", "all-minilm-l6-v2")}})
}

// checkModels wants every data set within the default tolerance, and the same bits on every flavour and for one, two and four
// threads; the digests are kept in models/sha256.txt.
func checkModels(t *testing.T, list []model) {
	var compiled []*driver.Compiled
	for _, m := range list {
		compiled = append(compiled, compile(t, m.file))
	}
	want := readDigests(t)
	for _, s := range suites(t, compiled) {
		for i, m := range list {
			for _, isa := range s.flavours {
				checkModel(t, s, i, m, isa, want)
			}
		}
	}
	if os.Getenv("MMC_UPDATE") != "" {
		writeDigests(t, want)
	}
}

func checkModel(t *testing.T, s programs, i int, m model, isa string, want map[string]string) {
	counts := []string{"1", "2", "4"}
	if s.run != nil {
		counts = counts[2:] // an emulator is slow
	}
	for _, threads := range counts {
		var doc struct{ Results []rt.SetResult }
		runProgram(t, s, i, &doc, "test", "--json", "--isa", isa, "--threads", threads, m.sets)
		if len(doc.Results) == 0 {
			t.Fatalf("%s: no data sets", m.file)
		}
		for _, r := range doc.Results {
			checkSet(t, m, r, want)
		}
	}
}

func checkSet(t *testing.T, m model, r rt.SetResult, want map[string]string) {
	if !r.Pass {
		t.Errorf("%s %s on %s with %d threads: %+v", m.file, r.Set, r.ISA, r.Threads, r)
	}
	for _, o := range r.Outputs {
		key := fmt.Sprintf("%s/%s %s %s", filepath.Base(m.sets), filepath.Base(m.file), r.Set, o.Name)
		if want[key] == "" && os.Getenv("MMC_UPDATE") != "" {
			want[key] = o.SHA256
		}
		if want[key] != o.SHA256 {
			t.Errorf("%s on %s with %d threads: sha256 %s, want %s", key, r.ISA, r.Threads, o.SHA256, want[key])
		}
	}
}

const digestFile = "models/sha256.txt"

func readDigests(t *testing.T) map[string]string {
	data, err := os.ReadFile(digestFile)
	if err != nil && os.Getenv("MMC_UPDATE") == "" {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if i := strings.LastIndexByte(line, ' '); i > 0 {
			m[line[:i]] = line[i+1:]
		}
	}
	return m
}

func writeDigests(t *testing.T, m map[string]string) {
	var lines []string
	for k, v := range m {
		lines = append(lines, k+" "+v)
	}
	sort.Strings(lines)
	if err := os.WriteFile(digestFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runOnce runs program i on tensors, in the order of its inputs, and reads its first output.
func runOnce(t *testing.T, s programs, i int, in ...*rt.Value) *rt.Value {
	t.Helper()
	dir := t.TempDir()
	var info struct{ Inputs []struct{ Name string } }
	runProgram(t, s, i, &info, "info", "--json")
	args := []string{"run", "--json", "-o", dir}
	for k, v := range in {
		file := filepath.Join(dir, fmt.Sprintf("in%d.npy", k))
		if err := rt.WriteNpy(file, v); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-i", info.Inputs[k].Name+"="+file)
	}
	var doc any
	runProgram(t, s, i, &doc, args...)
	out, err := rt.ReadFile(filepath.Join(dir, "output_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readNpz(t *testing.T, path string) map[string]*rt.Value {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	out := map[string]*rt.Value{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "x.npy")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if out[strings.TrimSuffix(f.Name, ".npy")], err = rt.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
