package sym

import (
	"math"
	"sync"
)

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
