package plain

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// Words is a table of strings. A tensor of strings holds their numbers in it: equal strings have equal numbers, and 0 is the empty one.
type Words struct {
	list   []string
	number map[string]uint64
}

// NewWords makes a table that begins with the strings given, of which no two may be equal; the first is taken to be the empty one.
func NewWords(fixed []string) *Words {
	w := &Words{number: map[string]uint64{"": 0}, list: []string{""}}
	for _, s := range fixed {
		w.Number(s)
	}
	return w
}

// Number gives a string its number.
func (w *Words) Number(s string) uint64 {
	n, ok := w.number[s]
	if !ok {
		n = uint64(len(w.list))
		s = strings.Clone(s) // the caller's may be a part of something large
		w.list, w.number[s] = append(w.list, s), n
	}
	return n
}

// Text is the string of a number; numbers that were given to none are the empty one.
func (w *Words) Text(n uint64) string {
	if n >= uint64(len(w.list)) {
		return ""
	}
	return w.list[n]
}

// List are the strings by number.
func (w *Words) List() []string { return w.list }

// Keep forgets all strings but the first n.
func (w *Words) Keep(n int) {
	for _, s := range w.list[n:] {
		delete(w.number, s)
	}
	clear(w.list[n:])
	w.list = w.list[:n]
}

func (a *Args) texts(t *Tensor) []string {
	if t.P == nil {
		return nil
	}
	out := make([]string, t.Len())
	for i, n := range data[uint64](t) {
		out[i] = a.Words.Text(n)
	}
	return out
}

// Cases of StringNormalizer.
const (
	CaseKept = iota
	CaseLower
	CaseUpper
)

// StringNormalizer leaves the strings of In[1] out of In[0] and changes the case of what remains; one empty string stands for nothing at
// all. Ints: the case, and whether In[1] is compared with its case (ONNX StringNormalizer, opset 10).
func StringNormalizer(a *Args) (int, error) {
	if a.In[0].Rank == 2 && a.In[0].Dims[0] != 1 {
		return 0, fmt.Errorf("%d rows of strings, want 1", a.In[0].Dims[0])
	}
	key := strings.ToLower
	if a.Ints[1] != 0 {
		key = func(s string) string { return s }
	}
	stop := map[string]bool{}
	for _, s := range a.texts(&a.In[1]) {
		stop[key(s)] = true
	}
	change := [...]func(string) string{CaseKept: strings.Clone, CaseLower: strings.ToLower, CaseUpper: strings.ToUpper}[a.Ints[0]]
	out, n := data[uint64](&a.Out[0]), 0
	for _, s := range a.texts(&a.In[0]) {
		if !stop[key(s)] {
			out[n], n = a.Words.Number(change(s)), n+1
		}
	}
	if n == 0 {
		out[0], n = 0, 1
	}
	return n, nil
}

// StringConcat puts the strings of In[1] behind those of In[0], which has the same shape (ONNX StringConcat, opset 20).
func StringConcat(a *Args) (int, error) {
	x, y, out := a.texts(&a.In[0]), a.texts(&a.In[1]), data[uint64](&a.Out[0])
	for i := range out {
		out[i] = a.Words.Number(x[i] + y[i])
	}
	return 0, nil
}

// RegexFullMatch says which strings of In[0] the expression In[1], in the syntax of RE2, matches as a whole (ONNX RegexFullMatch,
// opset 20).
func RegexFullMatch(a *Args) (int, error) {
	re, err := regexp.Compile(`\A(?:` + a.texts(&a.In[1])[0] + `)\z`)
	if err != nil {
		return 0, err
	}
	out := data[uint8](&a.Out[0])
	for i, s := range a.texts(&a.In[0]) {
		out[i] = 0
		if re.MatchString(s) {
			out[i] = 1
		}
	}
	return 0, nil
}

// StringSplit cuts the strings of In[0] at the delimiter In[1], or at stretches of white space if that is empty, at most Ints[0] times
// (with Ints[1], more are an error): a row of Out[0] each, filled up with empty strings, and how many there are in Out[1]. Its count is the
// longest row (ONNX StringSplit, opset 20).
func StringSplit(a *Args) (int, error) {
	delimiter := a.texts(&a.In[1])[0]
	var rows [][]string
	longest := 0
	most := a.Ints[0]
	if a.Ints[1] != 0 {
		most = math.MaxInt - 1
	}
	for i, s := range a.texts(&a.In[0]) {
		rows = append(rows, split(s, delimiter, most))
		if len(rows[i]) > a.Ints[0]+1 {
			return 0, fmt.Errorf("string %d has %d parts, there is room for %d", i, len(rows[i]), a.Ints[0]+1)
		}
		data[int64](&a.Out[1])[i] = int64(len(rows[i]))
		longest = max(longest, len(rows[i]))
	}
	out := data[uint64](&a.Out[0])
	clear(out[:len(rows)*longest])
	for i, row := range rows {
		for k, s := range row {
			out[i*longest+k] = a.Words.Number(s)
		}
	}
	return longest, nil
}

func split(s, delimiter string, most int) []string {
	if delimiter != "" {
		if s == "" {
			return nil
		}
		return strings.SplitN(s, delimiter, most+1)
	}
	var out []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := strings.IndexFunc(s, func(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' })
		if end < 0 || len(out) == most {
			return append(out, s)
		}
		out, s = append(out, s[:end]), s[end:]
	}
	return out
}
