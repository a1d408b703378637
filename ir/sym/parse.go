package sym

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads a polynomial such as "2*s0*s1+floordiv(s2,7)-1".
func Parse(src string) (Dim, error) {
	ts, err := parsePoly(strings.ReplaceAll(src, " ", ""))
	if err != nil {
		return Dim{}, fmt.Errorf("dimension %q: %w", src, err)
	}
	sum := Dim{}
	for _, t := range ts {
		p := Const(t.coef)
		for _, a := range t.atoms {
			p = p.Mul(substAtom(a, nil))
		}
		sum = sum.Add(p)
	}
	return sum, nil
}

type scanner struct {
	src   string
	pos   int
	depth int
}

const maxParseDepth = 64

func parsePoly(src string) ([]term, error) {
	s := &scanner{src: src}
	ts, err := s.poly()
	if err == nil && s.pos != len(s.src) {
		err = fmt.Errorf("unexpected %q", s.src[s.pos:])
	}
	return ts, err
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) poly() ([]term, error) {
	var out []term
	sign := int64(1)
	if s.peek() == '-' {
		s.pos++
		sign = -1
	}
	for {
		t, err := s.term(sign)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		switch s.peek() {
		case '+':
			sign = 1
		case '-':
			sign = -1
		default:
			return out, nil
		}
		s.pos++
	}
}

// term reads one of a sign, which is the number's from the start: the lowest has no opposite.
func (s *scanner) term(sign int64) (term, error) {
	t := term{coef: sign}
	for {
		word := s.word()
		switch {
		case word == "":
			return t, fmt.Errorf("a number or a symbol is missing at offset %d", s.pos)
		case word[0] >= '0' && word[0] <= '9':
			n, err := strconv.ParseUint(word, 10, 64)
			if err != nil || n > 1<<63 {
				return t, fmt.Errorf("%s is out of range", word)
			}
			if t.coef == -1 {
				t.coef = int64(-n)
			} else {
				t.coef = mulSat(t.coef, int64(min(n, math.MaxInt64)))
			}
		case s.peek() == '(':
			end, err := s.skipCall()
			if err != nil {
				return t, err
			}
			t.atoms = append(t.atoms, word+s.src[s.pos:end])
			s.pos = end
		default:
			t.atoms = append(t.atoms, word)
		}
		if s.peek() != '*' {
			return t, nil
		}
		s.pos++
	}
}

func (s *scanner) word() string {
	start := s.pos
	for s.pos < len(s.src) && isWord(s.src[s.pos]) {
		s.pos++
	}
	return s.src[start:s.pos]
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// skipCall returns the offset behind the bracket that closes the one at pos.
func (s *scanner) skipCall() (int, error) {
	depth := 0
	for i := s.pos; i < len(s.src); i++ {
		switch s.src[i] {
		case '(':
			if depth++; depth > maxParseDepth {
				return 0, fmt.Errorf("nested deeper than %d", maxParseDepth)
			}
		case ')':
			if depth--; depth == 0 {
				return i + 1, checkCall(s.src[:i+1], s.pos)
			}
		}
	}
	return 0, fmt.Errorf("a bracket is not closed")
}

func checkCall(src string, open int) error {
	start := open
	for start > 0 && isWord(src[start-1]) {
		start--
	}
	name := src[start:open]
	switch name {
	case "floordiv", "ceildiv", "mod", "min", "max":
	default:
		return fmt.Errorf("unknown function %q", name)
	}
	x, y, ok := cutArgs(src[open+1 : len(src)-1])
	if !ok {
		return fmt.Errorf("%s wants two operands", name)
	}
	for _, a := range []string{x, y} {
		if _, err := parsePoly(a); err != nil {
			return err
		}
	}
	return nil
}

func cutArgs(s string) (x, y string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				return s[:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// splitCall takes the atom "name(x,y)" apart; ok is false for a plain symbol.
func splitCall(atom string) (name string, x, y Dim, ok bool) {
	open := strings.IndexByte(atom, '(')
	if open < 0 {
		return "", Dim{}, Dim{}, false
	}
	xs, ys, _ := cutArgs(atom[open+1 : len(atom)-1])
	return atom[:open], mustTerms(xs), mustTerms(ys), true
}

func mustTerms(s string) Dim {
	ts, err := parsePoly(s)
	if err != nil {
		panic("sym: " + err.Error()) // operands were checked when the atom was made
	}
	return fromTerms(ts)
}
