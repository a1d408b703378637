package sym

import (
	"fmt"
	"math"
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"sync"
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
	if c == math.MinInt64 {
		c++ // where sums end, and what has no positive counterpart to print
	}
	switch {
	case c < 0:
		b.WriteByte('-')
		c = -c
	case !first:
		b.WriteByte('+')
	}
	if key == "" {
		b.WriteString(strconv.FormatInt(c, 10))
		return
	}
	if c != 1 {
		b.WriteString(strconv.FormatInt(c, 10))
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

// Same answers whether d equals e for every binding (True), for none (False) or cannot tell.
func (d Dim) Same(e Dim) Truth {
	if d == e {
		return True
	}
	lo, hi := d.Sub(e).Bounds()
	if lo > 0 || hi < 0 {
		return False
	}
	return Unknown
}

// LessEq answers d <= e.
func (d Dim) LessEq(e Dim) Truth {
	lo, hi := e.Sub(d).Bounds()
	switch {
	case lo >= 0:
		return True
	case hi < 0:
		return False
	}
	return Unknown
}

// Bounds gives an interval that holds d for every binding; it may be wider than needed.
func (d Dim) Bounds() (lo, hi int64) {
	if d.s == "" {
		return d.c, d.c
	}
	if b, ok := boundsOf.get(d); ok {
		return b[0], b[1]
	}
	lo, hi = d.bounds(maxChosen)
	boundsOf.put(d, [2]int64{lo, hi})
	return lo, hi
}

// boundsOf remembers what Bounds has found: the sizes of a model are few, and every operator asks for theirs.
var boundsOf = remembered{of: map[Dim][2]int64{}}

// remembered forgets everything when there are maxRemembered.
type remembered struct {
	sync.Mutex
	of map[Dim][2]int64
}

const maxRemembered = 1 << 14

func (r *remembered) get(d Dim) ([2]int64, bool) {
	r.Lock()
	defer r.Unlock()
	b, ok := r.of[d]
	return b, ok
}

func (r *remembered) put(d Dim, b [2]int64) {
	r.Lock()
	defer r.Unlock()
	if len(r.of) >= maxRemembered {
		clear(r.of)
	}
	r.of[d] = b
}

// maxChosen is how many terms of a sum Bounds takes one side of, one within another, and maxRefined the most terms of such a sum.
const (
	maxChosen  = 3
	maxRefined = 6
)

func (d Dim) bounds(choices int) (lo, hi int64) {
	ts := d.terms()
	for _, t := range ts {
		tlo, thi := t.coef, t.coef
		for _, a := range t.atoms {
			alo, ahi := atomBounds(a, choices)
			tlo, thi = mulBounds(tlo, thi, alo, ahi)
		}
		lo, hi = addSat(lo, tlo), addSat(hi, thi)
	}
	if choices == 0 || len(ts) == 1 || len(ts) > maxRefined {
		return lo, hi
	}
	for _, t := range ts {
		if len(t.atoms) != 1 {
			continue
		}
		for _, side := range sides(t) {
			of := d.Sub(Dim{s: t.atoms[0]}.Mul(Const(t.coef))).Mul(Const(side.times)).Add(side.of)
			lower, upper := of.bounds(choices - 1)
			if side.less {
				lower, _ = apply("ceildiv", lower, side.times)
				lo = max(lo, lower)
			} else {
				upper, _ = apply("floordiv", upper, side.times)
				hi = min(hi, upper)
			}
		}
	}
	return lo, hi
}

// side is what so many times a term is never less than, or never more.
type side struct {
	of    Dim
	less  bool
	times int64
}

// sides are those of a minimum, a maximum or a quotient: what is less a minimum of x, say, is at least what is less x.
func sides(t term) []side {
	name, x, y, _ := splitCall(t.atoms[0])
	up := t.coef > 0
	k := Const(t.coef)
	switch name {
	case "min":
		return []side{{x.Mul(k), !up, 1}, {y.Mul(k), !up, 1}}
	case "max":
		return []side{{x.Mul(k), up, 1}, {y.Mul(k), up, 1}}
	}
	c, ok := y.Const()
	if !ok || c < 1 || c > 1<<20 {
		return nil
	}
	times := c / gcd(max(t.coef, -t.coef), c)
	k, most := Const(times*t.coef/c), Const(c-1)
	switch name {
	case "floordiv":
		return []side{{x.Sub(most).Mul(k), up, times}, {x.Mul(k), !up, times}}
	case "ceildiv":
		return []side{{x.Mul(k), up, times}, {x.Add(most).Mul(k), !up, times}}
	}
	return nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func mulBounds(alo, ahi, blo, bhi int64) (int64, int64) {
	p := []int64{mulSat(alo, blo), mulSat(alo, bhi), mulSat(ahi, blo), mulSat(ahi, bhi)}
	return min(p[0], p[1], p[2], p[3]), max(p[0], p[1], p[2], p[3])
}

// MayBeZero reports whether a symbol's size may be 0.
func MayBeZero(symbol string) bool { return symbol[0] == 'z' }

func atomBounds(atom string, choices int) (int64, int64) {
	name, x, y, ok := splitCall(atom)
	if !ok && MayBeZero(atom) {
		return 0, MaxSymbol
	}
	if !ok {
		return MinSymbol, MaxSymbol
	}
	choices = max(0, choices-1)
	xlo, xhi := x.bounds(choices)
	ylo, yhi := y.bounds(choices)
	switch {
	case name == "min":
		return min(xlo, ylo), min(xhi, yhi)
	case name == "max":
		return max(xlo, ylo), max(xhi, yhi)
	case name == "mod" && ylo > 0:
		return 0, yhi - 1
	case ylo > 0 && xlo >= 0:
		lo, _ := apply(name, xlo, yhi)
		hi, _ := apply(name, xhi, ylo)
		return lo, hi
	}
	return math.MinInt64, math.MaxInt64
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
