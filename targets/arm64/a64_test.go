package arm64

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEncodings holds every entry of the table, on many registers, against the disassembler of binutils.
func TestEncodings(t *testing.T) {
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("no disassembler: install binutils-aarch64-linux-gnu")
	}
	words, texts := samples()
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, words)
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", "-M", "no-aliases", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(string(out), "\n") {
		if f := strings.SplitN(line, "\t", 3); len(f) == 3 {
			got = append(got, strings.Join(strings.Fields(f[2]), " "))
		}
	}
	if len(got) != len(texts) {
		t.Fatalf("%d instructions read back, %d encoded", len(got), len(texts))
	}
	for i := range got {
		if got[i] != texts[i] {
			t.Errorf("%08x is %q, we say %q", words[i], got[i], texts[i])
		}
	}
}

func samples() (words []uint32, texts []string) {
	r := rand.New(rand.NewSource(1))
	add := func(bits uint32, text string) { words, texts = append(words, bits), append(texts, text) }
	reg := func() int { return r.Intn(32) }
	for name := range vector {
		for range 40 {
			add(encode(name, reg(), reg(), reg()))
		}
	}
	for range 200 {
		add(fmlaLane(reg(), reg(), reg(), r.Intn(4)))
		add(sdotLane(reg(), reg(), reg(), r.Intn(4)))
		add(smull(reg(), reg(), reg()))
		add(smull2(reg(), reg(), reg()))
		add(sadalp(reg(), reg()))
		add(uzp1(reg(), reg(), reg(), r.Intn(2) == 0))
		add(fcvtl(reg(), reg(), r.Intn(2) == 0))
		add(dupLane(reg(), reg(), r.Intn(4)))
		add(ext(reg(), reg(), reg(), r.Intn(16)))
		add(shl(reg(), reg(), r.Intn(32)))
		add(loadIndexed(reg(), r.Intn(31), r.Intn(31)))
		add(storeIndexed(reg(), r.Intn(31), r.Intn(31)))
	}
	return words, texts
}
