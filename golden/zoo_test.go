package golden

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/runtime"
)

// TestZooAccuracy reproduces the accuracy that about.json states, on the whole held-out set, to the digits given there.
func TestZooAccuracy(t *testing.T) {
	var compiled []*driver.Compiled
	for _, m := range own {
		compiled = append(compiled, compile(t, m.file))
	}
	s := suite(t, compiled)
	for i, m := range own {
		set := readNpz(t, filepath.Join(m.sets, "accuracy.npz"))
		var got any
		if strings.Contains(m.file, "digits-vit") {
			got = digitsAccuracy(t, s, i, set)
		} else {
			got = datesAccuracy(t, s, i, set)
		}
		wantAccuracy(t, m.sets, filepath.Base(m.file), got)
	}
}

// TestZooDigits reproduces the accuracy of the other digit models of the zoo.
func TestZooDigits(t *testing.T) {
	var compiled []*driver.Compiled
	var dirs []string
	for _, name := range []string{"digits-resnet", "digits-perceiver", "digits-swin"} {
		dirs = append(dirs, shared(t, "zoo/"+name))
		compiled = append(compiled, compile(t, filepath.Join(dirs[len(dirs)-1], "model.onnx")))
	}
	s := suite(t, compiled)
	for i, dir := range dirs {
		wantAccuracy(t, dir, "model.onnx", digitsAccuracy(t, s, i, readNpz(t, filepath.Join(dir, "accuracy.npz"))))
	}
}

// wantAccuracy compares with the accuracy that the folder's about.json states.
func wantAccuracy(t *testing.T, dir, name string, got any) {
	t.Helper()
	var about struct {
		Accuracy map[string]any `json:"accuracy"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "about.json"))
	if err == nil {
		err = json.Unmarshal(data, &about)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := about.Accuracy[name]; want == nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: accuracy %v, want %v", dir, got, want)
	}
}

// TestZooCLIP classifies the held-out digits by ten prompts whose wording training never showed.
func TestZooCLIP(t *testing.T) {
	dir := shared(t, "zoo/digits-clip")
	s := suite(t, []*driver.Compiled{compile(t, filepath.Join(dir, "model.onnx"))})
	set := readNpz(t, filepath.Join(dir, "accuracy.npz"))
	logits := runOnce(t, s, 0, integers(set["prompt_ids"]), pixels(set["images"], 3), integers(set["prompt_mask"]))
	wantAccuracy(t, dir, "model.onnx", share(logits, set["labels"]))
}

// TestZooDates writes the held-out dates as ISO dates, greedily, all of them at once: the encoder runs once, the decoder for each token.
func TestZooDates(t *testing.T) {
	dir := shared(t, "zoo/dates-t5")
	s := suite(t, []*driver.Compiled{compile(t, filepath.Join(dir, "encoder_model.onnx")), compile(t, filepath.Join(dir, "decoder_model.onnx"))})
	set := readNpz(t, filepath.Join(dir, "accuracy.npz"))
	ids, want := integers(set["input_ids"]), set["output_ids"]
	mask := &rt.Value{Elem: rt.I64, Shape: ids.Shape}
	for k := range ids.Shape[0] * ids.Shape[1] {
		mask.Data = appendI64(mask.Data, min(int64(ids.At(k)), 1))
	}
	hidden := runOnce(t, s, 0, ids, mask)
	answers := make([][]int64, ids.Shape[0]) // each begins with token 0
	for n := range answers {
		answers[n] = []int64{0}
	}
	for range want.Shape[1] {
		tokens := &rt.Value{Elem: rt.I64, Shape: []int{len(answers), len(answers[0])}}
		for _, a := range answers {
			for _, id := range a {
				tokens.Data = appendI64(tokens.Data, id)
			}
		}
		logits := runOnce(t, s, 1, tokens, hidden, mask)
		for n, a := range answers {
			answers[n] = append(a, int64(argmax(logits, (n+1)*len(a)-1)))
		}
	}
	right := 0
	for n, a := range answers {
		same := true
		for k, id := range a[1:] {
			same = same && float64(id) == want.At(n*want.Shape[1]+k)
		}
		if same {
			right++
		}
	}
	wantAccuracy(t, dir, "encoder_model.onnx + decoder_model.onnx", round4(float64(right)/float64(len(answers))))
}

func digitsAccuracy(t *testing.T, s programs, i int, set map[string]*rt.Value) any {
	channels := 1
	if strings.Contains(s.path(i), "swin") {
		channels = 3 // grey, three times
	}
	return share(runOnce(t, s, i, pixels(set["images"], channels)), set["labels"])
}

// pixels are grey images [N,H,W] of bytes as floats [N,channels,H,W] from -1 to 1.
func pixels(img *rt.Value, channels int) *rt.Value {
	x := &rt.Value{Elem: rt.F32, Shape: []int{img.Shape[0], channels, img.Shape[1], img.Shape[2]}}
	plane := img.Shape[1] * img.Shape[2]
	for k := range img.Shape[0] * channels * plane {
		x.Data = appendF32(x.Data, float32(img.At(k/(channels*plane)*plane+k%plane))/127.5-1)
	}
	return x
}

// integers are the numbers of a value as 64-bit integers.
func integers(v *rt.Value) *rt.Value {
	out := &rt.Value{Elem: rt.I64, Shape: v.Shape}
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	for k := range n {
		out.Data = appendI64(out.Data, int64(v.At(k)))
	}
	return out
}

// share of rows whose greatest logit is the label's.
func share(logits, labels *rt.Value) float64 {
	right := 0
	for n := range labels.Shape[0] {
		if float64(argmax(logits, n)) == labels.At(n) {
			right++
		}
	}
	return round4(float64(right) / float64(labels.Shape[0]))
}

func datesAccuracy(t *testing.T, s programs, i int, set map[string]*rt.Value) any {
	ids, labels := set["input_ids"], set["labels"]
	n, width := ids.Shape[0], ids.Shape[1]
	in := [3]*rt.Value{}
	for k := range in {
		in[k] = &rt.Value{Elem: rt.I64, Shape: ids.Shape}
	}
	for k := range n * width {
		id := int64(ids.At(k))
		in[0].Data, in[2].Data = appendI64(in[0].Data, id), appendI64(in[2].Data, 0)
		in[1].Data = appendI64(in[1].Data, min(id, 1))
	}
	logits := runOnce(t, s, i, in[:]...)
	counted, right, sentences := 0, 0, 0
	for r := range n {
		all := true
		for c := range width {
			want := labels.At(r*width + c)
			if want < 0 {
				continue
			}
			counted++
			if float64(argmax(logits, r*width+c)) == want {
				right++
			} else {
				all = false
			}
		}
		if all {
			sentences++
		}
	}
	return map[string]any{"sentence": round4(float64(sentences) / float64(n)), "token": round4(float64(right) / float64(counted))}
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// argmax of row r of a value whose last axis holds the classes.
func argmax(v *rt.Value, r int) int {
	n := v.Shape[len(v.Shape)-1]
	best := 0
	for c := range n {
		if v.At(r*n+c) > v.At(r*n+best) {
			best = c
		}
	}
	return best
}
