package sym

import (
	"fmt"
	"math"
	"math/bits"
	"sort"
	"strconv"
	"strings"
)

// Dim is a canonical polynomial; the zero value is the constant 0.
type Dim struct {
	c int64  // the value, when s is empty
	s string // canonical text of a non-constant polynomial
}

// Binding gives symbols their values at run time.
type Binding map[string]int64

// Truth is the answer to a question about dims whose symbols are unbound.
type Truth int

const (
	Unknown Truth = iota
	False
	True
)

// Symbol bounds: every symbol lies in [MinSymbol, MaxSymbol], but for those whose names begin with z, which may be 0: the length of a
// cache, for example.
const (
	MinSymbol = 1
	MaxSymbol = 1 << 29
)

// Const is the constant dimension n.
func Const(n int64) Dim { return Dim{c: n} }

// Sym is the symbol of that name, which must be a letter followed by letters, digits or underscores.
func Sym(name string) Dim {
	return Dim{s: name}
}

// Consts lifts sizes to dims.
func Consts(ns ...int64) []Dim {
	out := make([]Dim, len(ns))
	for i, n := range ns {
		out[i] = Const(n)
	}
	return out
}

// Const returns the value of a constant dim.
func (d Dim) Const() (int64, bool) { return d.c, d.s == "" }

// Is reports whether d is the constant n.
func (d Dim) Is(n int64) bool { return d.s == "" && d.c == n }

// String is the canonical text, which Parse reads back.
func (d Dim) String() string {
	if d.s == "" {
		return strconv.FormatInt(d.c, 10)
	}
	return d.s
}

// term is coef times the product of its atoms, which are sorted.
type term struct {
	coef  int64
	atoms []string
}

func (t term) key() string { return strings.Join(t.atoms, "*") }

func (d Dim) terms() []term {
	if d.s == "" {
		if d.c == 0 {
			return nil
		}
		return []term{{coef: d.c}}
	}
	ts, err := parsePoly(d.s)
	if err != nil {
		panic("sym: " + err.Error()) // a canonical text always parses
	}
	return ts
}

func fromTerms(ts []term) Dim {
	sum := map[string]int64{}
	atoms := map[string][]string{}
	for _, t := range ts {
		sort.Strings(t.atoms)
		k := t.key()
		sum[k] = addSat(sum[k], t.coef)
		atoms[k] = t.atoms
	}
	keys := make([]string, 0, len(sum))
	for k, c := range sum {
		if c != 0 {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if len(atoms[a]) != len(atoms[b]) {
			return len(atoms[a]) > len(atoms[b])
		}
		return a < b
	})
	if len(keys) == 0 {
		return Dim{}
	}
	if len(keys) == 1 && keys[0] == "" {
		return Const(sum[""])
	}
	var b strings.Builder
	for i, k := range keys {
		writeTerm(&b, i == 0, sum[k], k)
	}
	return Dim{s: b.String()}
}

func writeTerm(b *strings.Builder, first bool, c int64, key string) {
	switch {
	case c < 0:
		b.WriteByte('-')
	case !first:
		b.WriteByte('+')
	}
	if key == "" {
		b.WriteString(strconv.FormatUint(abs(c), 10))
		return
	}
	if abs(c) != 1 {
		b.WriteString(strconv.FormatUint(abs(c), 10))
		b.WriteByte('*')
	}
	b.WriteString(key)
}

// Add is d + e.
func (d Dim) Add(e Dim) Dim {
	if d.s == "" && e.s == "" {
		return Const(addSat(d.c, e.c))
	}
	return fromTerms(append(d.terms(), e.terms()...))
}

// Neg is -d.
func (d Dim) Neg() Dim { return d.Mul(Const(-1)) }

// Sub is d - e.
func (d Dim) Sub(e Dim) Dim { return d.Add(e.Neg()) }

// Mul is d * e.
func (d Dim) Mul(e Dim) Dim {
	if d.s == "" && e.s == "" {
		return Const(mulSat(d.c, e.c))
	}
	var out []term
	for _, a := range d.terms() {
		for _, b := range e.terms() {
			atoms := append(append([]string{}, a.atoms...), b.atoms...)
			out = append(out, term{coef: mulSat(a.coef, b.coef), atoms: atoms})
		}
	}
	return fromTerms(out)
}

// Product multiplies dims; the empty product is 1.
func Product(ds []Dim) Dim {
	p := Const(1)
	for _, d := range ds {
		p = p.Mul(d)
	}
	return p
}

// maxQuotient is the most terms of a quotient by a sum.
const maxQuotient = 16

// Min is the smaller of d and e.
func (d Dim) Min(e Dim) Dim {
	if d.LessEq(e) == True {
		return d
	}
	if e.LessEq(d) == True {
		return e
	}
	return commutative("min", d, e)
}

// Max is the larger of d and e.
func (d Dim) Max(e Dim) Dim {
	if d.LessEq(e) == True {
		return e
	}
	if e.LessEq(d) == True {
		return d
	}
	return commutative("max", d, e)
}

func commutative(name string, d, e Dim) Dim {
	if e.String() < d.String() {
		d, e = e, d
	}
	return call(name, d, e)
}

func call(name string, d, e Dim) Dim {
	if d.s == "" && e.s == "" {
		v, err := apply(name, d.c, e.c)
		if err != nil {
			return Dim{}
		}
		return Const(v)
	}
	return Dim{s: name + "(" + d.String() + "," + e.String() + ")"}
}

func apply(name string, a, b int64) (int64, error) {
	switch name {
	case "min":
		return min(a, b), nil
	case "max":
		return max(a, b), nil
	}
	if b == 0 {
		return 0, fmt.Errorf("%s by zero", name)
	}
	q, r := a/b, a%b
	if r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	switch name {
	case "floordiv":
		return q, nil
	case "ceildiv":
		if r != 0 {
			q++
		}
		return q, nil
	case "mod":
		return r, nil
	}
	return 0, fmt.Errorf("unknown function %q", name)
}

// Eval computes d; every symbol must be bound.
func (d Dim) Eval(b Binding) (int64, error) {
	var sum int64
	for _, t := range d.terms() {
		p := t.coef
		for _, a := range t.atoms {
			v, err := evalAtom(a, b)
			if err != nil {
				return 0, err
			}
			p = mulSat(p, v)
		}
		sum = addSat(sum, p)
	}
	return sum, nil
}

func evalAtom(atom string, b Binding) (int64, error) {
	name, x, y, ok := splitCall(atom)
	if !ok {
		v, bound := b[atom]
		if !bound {
			return 0, fmt.Errorf("symbol %s is not bound", atom)
		}
		return v, nil
	}
	xv, err := x.Eval(b)
	if err != nil {
		return 0, err
	}
	yv, err := y.Eval(b)
	if err != nil {
		return 0, err
	}
	return apply(name, xv, yv)
}

// MaxWith is e if d is max(x, e) or max(e, x).
func (d Dim) MaxWith(x Dim) (e Dim, ok bool) {
	ts := d.terms()
	if len(ts) != 1 || ts[0].coef != 1 || len(ts[0].atoms) != 1 {
		return Dim{}, false
	}
	name, a, b, isCall := splitCall(ts[0].atoms[0])
	if !isCall || name != "max" {
		return Dim{}, false
	}
	switch x {
	case a:
		return b, true
	case b:
		return a, true
	}
	return Dim{}, false
}

// Subst replaces symbols by dims, everywhere at once.
func (d Dim) Subst(m map[string]Dim) Dim {
	if d.s == "" || len(m) == 0 {
		return d
	}
	sum := Dim{}
	for _, t := range d.terms() {
		p := Const(t.coef)
		for _, a := range t.atoms {
			p = p.Mul(substAtom(a, m))
		}
		sum = sum.Add(p)
	}
	return sum
}

func substAtom(atom string, m map[string]Dim) Dim {
	name, x, y, ok := splitCall(atom)
	if !ok {
		if r, found := m[atom]; found {
			return r
		}
		return Sym(atom)
	}
	return Call(name, x.Subst(m), y.Subst(m))
}

// Call applies floordiv, ceildiv, mod, min or max by name.
func Call(name string, x, y Dim) Dim {
	switch name {
	case "floordiv":
		return x.FloorDiv(y)
	case "ceildiv":
		return x.CeilDiv(y)
	case "mod":
		return x.Mod(y)
	case "min":
		return x.Min(y)
	}
	return x.Max(y)
}

// Symbols lists the symbols of d, each once, sorted.
func (d Dim) Symbols() []string {
	seen := map[string]bool{}
	d.collect(seen)
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}

func (d Dim) collect(seen map[string]bool) {
	for _, t := range d.terms() {
		for _, a := range t.atoms {
			if _, x, y, ok := splitCall(a); ok {
				x.collect(seen)
				y.collect(seen)
			} else {
				seen[a] = true
			}
		}
	}
}

// Format prints d as an expression of another language: sym renders a symbol, fn a call such as floordiv of two operands.
func (d Dim) Format(sym func(string) string, fn func(name, x, y string) string) string {
	ts := d.terms()
	if len(ts) == 0 {
		return "0"
	}
	var b strings.Builder
	for i, t := range ts {
		parts := make([]string, len(t.atoms))
		for j, a := range t.atoms {
			parts[j] = formatAtom(a, sym, fn)
		}
		writeTerm(&b, i == 0, t.coef, strings.Join(parts, "*"))
	}
	return b.String()
}

func formatAtom(a string, sym func(string) string, fn func(name, x, y string) string) string {
	name, x, y, ok := splitCall(a)
	if !ok {
		return sym(a)
	}
	return fn(name, x.Format(sym, fn), y.Format(sym, fn))
}

func addSat(a, b int64) int64 {
	s := a + b
	if (s > a) == (b > 0) {
		return s
	}
	if b > 0 {
		return math.MaxInt64
	}
	if b == 0 {
		return a
	}
	return math.MinInt64
}

func mulSat(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	hi, lo := bits.Mul64(abs(a), abs(b))
	neg := (a < 0) != (b < 0)
	if hi != 0 || lo > math.MaxInt64 {
		if neg {
			return math.MinInt64
		}
		return math.MaxInt64
	}
	if neg {
		return -int64(lo)
	}
	return int64(lo)
}

func abs(a int64) uint64 {
	if a < 0 {
		return uint64(-a)
	}
	return uint64(a)
}
