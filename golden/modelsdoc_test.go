package golden

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"mmc/driver"
)

// systems are the systems of the mission and the models that stand for them.
var systems = [][2]string{
	{"Word2Vec", "tiny-word2vec"}, {"Word2Vec, new exporter", "tiny-word2vec-dynamo"}, {"LSTM Seq2Seq", "lstm-seq2seq"}, {"ELMo", "tiny-elmo"},
	{"ULMFiT", "tiny-ulmfit"}, {"AlexNet", "tiny-alexnet"}, {"ResNet", "tiny-resnet"}, {"MobileNet", "tiny-mobilenetv3"},
	{"Inception", "tiny-inception"}, {"EfficientNet", "tiny-efficientnet"}, {"YOLO", "tiny-yolo"}, {"YOLO with suppression", "tiny-yolo-nms"},
	{"Transformer, encoder", "tiny-t5-encoder"}, {"Transformer, decoder", "tiny-t5-decoder"}, {"BERT", "tiny-bert"}, {"BERT, new exporter", "tiny-bert-dynamo23"},
	{"GPT, GPT-2", "tiny-gpt2"}, {"GPT-2 with a cache", "tiny-gpt2-past"}, {"GPT-3, Megatron, LaMDA, Gopher, Chinchilla style", "tiny-llama"},
	{"the same, 4 bits", "tiny-llama-q4"}, {"GLaM: mixture of experts", "tiny-mixtral"}, {"PaLM: parallel block", "tiny-gptj-parallel"},
	{"PaLM: parallel block, new exporter", "tiny-cohere-parallel-dynamo"}, {"T5", "tiny-t5-decoder-dynamo"}, {"ViT", "tiny-vit"},
	{"ViT-22B: parallel block with QK norm", "vit-22b"},
	{"ViT-22B, new exporter", "vit-22b-dynamo"}, {"Swin", "tiny-swin"}, {"SwinV2", "tiny-swinv2"}, {"Perceiver", "tiny-perceiver-image"},
	{"CLIP", "tiny-clip"}, {"CoCa, SimVLM: caption", "tiny-blip-caption"}, {"Flamingo: gated cross-attention", "tiny-flamingo"},
	{"Kosmos-1, PaLM-E, GPT-4 style: image tokens in a decoder", "tiny-git-caption"}, {"VideoBERT", "videobert"}, {"All-in-One", "all-in-one"}, {"VideoMAE", "tiny-videomae"},
	{"X-CLIP, InternVideo", "tiny-xclip"}, {"quantised: dynamic int8", "tiny-bert-int8-dynamic"}, {"quantised: QDQ", "tiny-vit-qdq"},
	{"quantised: integer operators", "tiny-resnet-qoperator"}, {"f16", "tiny-bert-fp16"},
}

const (
	fusionsFile = "models/fusions.txt"
	modelsDoc   = "../docs/models.md"
	speedFile   = "../bench/families.json"
)

// TestFusions counts the fusions of every small model: a change of an exporter, of a pass or of their order shows. The
// counts stand in models/fusions.txt, the table of systems in docs/models.md; MMC_UPDATE=1 writes both.
func TestFusions(t *testing.T) {
	dir := shared(t, "models")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var folders, lines []string
	for _, name := range standIns {
		folders = append(folders, filepath.Join("models", name))
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "tiny-") {
			folders = append(folders, filepath.Join(dir, e.Name()))
		}
	}
	for _, m := range modelsIn(t, "exports", 11) {
		folders = append(folders, m.sets)
	}
	counts := map[string]string{}
	for _, folder := range folders {
		name := filepath.Base(folder)
		c, err := driver.Load(folder, driver.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kinds := map[string]int{}
		for _, s := range c.Report.Fused {
			kinds[s.Kind]++
		}
		var list []string
		for k, n := range kinds {
			list = append(list, fmt.Sprintf("%s %d", k, n))
		}
		sort.Strings(list)
		counts[name] = strings.Join(list, ", ")
		lines = append(lines, name+": "+counts[name])
	}
	same(t, fusionsFile, strings.Join(lines, "\n")+"\n")
	same(t, modelsDoc, systemsTable(t, counts))
}

// same compares a file with what it should hold, or writes it.
func same(t *testing.T, file, want string) {
	t.Helper()
	if os.Getenv("MMC_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Errorf("%s line %d differs from what is now made (MMC_UPDATE=1 writes it)", file, i+1)
			return
		}
	}
}

// systemsTable is docs/models.md. A row has a digest only where the golden test has run; speeds are those of bench/families.py.
func systemsTable(t *testing.T, fusions map[string]string) string {
	digests := readDigests(t)
	speeds := map[string]struct{ Ours, ORT float64 }{}
	if data, err := os.ReadFile(speedFile); err == nil {
		if err := json.Unmarshal(data, &speeds); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString("# Systems and the models that stand for them\n\nMade by `MMC_UPDATE=1 go test ./golden -run TestFusions`. The digest is the sha256 of the first output of the\n" +
		"first data set, the same on every target; a row has one only because its golden test ran. Speeds are medians in ms of one thread,\n" +
		"ours and ONNX Runtime's in one run of `bench/families.py`.\n\n| system | stands for it | golden | fusions | ours ms | ONNX Runtime ms |\n|---|---|---|---|---|---|\n")
	for _, s := range systems {
		digest := "none"
		var keys []string
		for k := range digests {
			if strings.HasPrefix(k, s[1]+"/") {
				keys = append(keys, k)
			}
		}
		if sort.Strings(keys); len(keys) > 0 {
			digest = digests[keys[0]][:12]
		}
		speed := " | "
		if v, ok := speeds[s[1]]; ok {
			speed = fmt.Sprintf("%.3f | %.3f", v.Ours, v.ORT)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s[0], s[1], digest, fusions[s[1]], speed)
	}
	return b.String()
}
