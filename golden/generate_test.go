package golden

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mmc/driver"
	"mmc/runtime"
)

// tokens are the generations that a program prints as JSON.
type tokens struct {
	Results []struct {
		Prompt, Tokens []int64
		Ended          string
	}
}

// TestGenerateSums adds all held-out pairs of numbers with the zoo's GPT, greedily: with a cache and without, from both exporters, the
// answers must be the same and as often right as about.json says.
func TestGenerateSums(t *testing.T) {
	dir := shared(t, "zoo/sums-gpt")
	set := readNpz(t, filepath.Join(dir, "accuracy.npz"))
	a, b := set["a"], set["b"]
	args := []string{"generate", "--json", "--stop", "1", "--max", "4"}
	var answers []string
	for i := range len(a.Data) {
		x, y := int(a.At(i)), int(b.At(i))
		args = append(args, "--tokens", characters(fmt.Sprintf("%d+%d=", x, y)))
		answers = append(answers, characters(fmt.Sprint(x+y)))
	}
	var list []*driver.Compiled
	for _, file := range []string{"model-with-past.onnx", "model.onnx", "model-dynamo.onnx"} {
		list = append(list, compile(t, filepath.Join(dir, file)))
	}
	s := suite(t, list)
	var first tokens
	for i := range list {
		var got tokens
		runProgram(t, s, i, &got, args...)
		right := 0
		for k, r := range got.Results {
			if fmt.Sprint(r.Tokens) == fmt.Sprint(numbers(answers[k])) {
				right++
			}
			if i > 0 && fmt.Sprint(r.Tokens) != fmt.Sprint(first.Results[k].Tokens) {
				t.Errorf("%s: %v gives %v, with the cache %v", list[i].Path, r.Prompt, r.Tokens, first.Results[k].Tokens)
			}
		}
		if share := float64(right) / float64(len(answers)); fmt.Sprintf("%.3f", share) != "0.998" {
			t.Errorf("%s: %.4f of the answers are right, want 0.998", list[i].Path, share)
		}
		if i == 0 {
			first = got
		}
	}
}

// TestGenerateGrouped generates with a decoder whose caches are as long as its mask says, as those of ONNX Runtime's model builder are, what
// ONNX Runtime does.
func TestGenerateGrouped(t *testing.T) {
	data, err := os.ReadFile("contrib/decoder/tokens.txt")
	if err != nil {
		t.Fatal(err)
	}
	prompt, want, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	var got tokens
	s := suite(t, []*driver.Compiled{compile(t, "contrib/decoder/model.onnx")})
	runProgram(t, s, 0, &got, "generate", "--json", "--max", "24", "--tokens", prompt)
	if len(got.Results) != 1 || fmt.Sprint(got.Results[0].Tokens) != fmt.Sprint(numbers(want)) {
		t.Errorf("%s gives %+v, want %s", prompt, got.Results, want)
	}
}

// characters are a text's token numbers in the model's vocabulary, with commas.
func characters(text string) string {
	ids := map[rune]int{'+': 2, '=': 3}
	for i, r := range "0123456789" {
		ids[r] = 4 + i
	}
	out := ""
	for i, r := range text {
		if i > 0 {
			out += ","
		}
		out += fmt.Sprint(ids[r])
	}
	return out
}

func numbers(list string) []int64 {
	var out []int64
	var n int64
	for _, r := range list + "," {
		if r == ',' {
			out, n = append(out, n), 0
			continue
		}
		n = n*10 + int64(r-'0')
	}
	return out
}

// TestGenerate wants the same tokens from prompts of different length in one batch and one by one, from every flavour, and from the same
// seed; and a reason to stop.
func TestGenerate(t *testing.T) {
	dir := shared(t, "models")
	var list []*driver.Compiled
	for _, m := range []string{"tiny-gpt2-past", "tiny-llama-dynamo23", "tiny-mixtral"} {
		list = append(list, compile(t, filepath.Join(dir, m)))
	}
	s := suite(t, list)
	prompts := []string{"--tokens", "5,7,9", "--tokens", "3", "--tokens", "11,12,13,14,15"}
	for i, c := range list {
		for _, mode := range [][]string{{"--max", "6"}, {"--max", "6", "--temperature", "3", "--top-k", "20", "--top-p", "0.95", "--seed", "7"}} {
			var want tokens
			for _, isa := range s.flavours {
				for _, batch := range []string{"", "--batch"} {
					args := append(append([]string{"generate", "--json", "--isa", isa}, prompts...), mode...)
					if batch != "" {
						args = append(args, batch)
					}
					var got tokens
					runProgram(t, s, i, &got, args...)
					if len(want.Results) == 0 {
						want = got
					}
					if fmt.Sprint(got) != fmt.Sprint(want) || len(got.Results) != 3 || got.Results[0].Ended != "max" || len(got.Results[2].Tokens) != 6 {
						t.Errorf("%s on %s %s %v: %v, want %v", c.Path, isa, batch, mode, got, want)
					}
				}
			}
		}
		var greedy, stopped tokens
		runProgram(t, s, i, &greedy, "generate", "--json", "--tokens", "5,7,9", "--max", "6")
		runProgram(t, s, i, &stopped, "generate", "--json", "--tokens", "5,7,9", "--max", "6", "--stop", fmt.Sprint(greedy.Results[0].Tokens[3]))
		if r := stopped.Results[0]; r.Ended != "stop" || len(r.Tokens) > 3 {
			t.Errorf("%s: %+v does not stop", c.Path, r)
		}
	}
}

// TestNoDecoder wants a program that generates nothing to say so.
func TestNoDecoder(t *testing.T) {
	s := suite(t, []*driver.Compiled{compile(t, "models/digits-vit/model.onnx")})
	out, err := s.command(0, "generate", "--tokens", "1,2").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != rt.ExitUsage {
		t.Errorf("%v, want exit code %d: %s", err, rt.ExitUsage, out)
	}
}

// TestDecoderInPlace runs the tests of testdata/decoder in the module of a decoder with grouped heads and one of an older exporter.
func TestDecoderInPlace(t *testing.T) {
	for _, name := range []string{"tiny-llama", "tiny-mixtral-dynamo"} {
		testModule(t, filepath.Join(shared(t, "models"), name), "testdata/decoder/decoder_test.go.txt")
	}
}

// TestDecoderRagged does so in that of a decoder which writes each sequence's rows at a place of its own.
func TestDecoderRagged(t *testing.T) {
	testModule(t, "contrib/decoder/model.onnx", "testdata/decoder/ragged_test.go.txt")
}

// testModule runs a file of tests in the module of a model.
func testModule(t *testing.T, model, tests string) {
	t.Helper()
	test, err := os.ReadFile(tests)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "module")
	if err := compile(t, model).Emit(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "decoder_test.go"), test, 0o644); err != nil {
		t.Fatal(err)
	}
	goTool(t, dir, "0", "test", "-count=1", "./...")
}
