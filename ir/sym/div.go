package sym

import "sort"

// Div is the exact quotient d / e when that is a polynomial and is found by dividing term by term.
func (d Dim) Div(e Dim) (Dim, bool) {
	if d == e && !d.Is(0) {
		return Const(1), true
	}
	et := e.terms()
	if len(et) > 1 {
		return d.divSum(e)
	}
	if len(et) == 0 {
		return Dim{}, false
	}
	var out []term
	for _, t := range d.terms() {
		rest, ok := removeAtoms(t.atoms, et[0].atoms)
		if !ok || t.coef%et[0].coef != 0 {
			return Dim{}, false
		}
		out = append(out, term{coef: t.coef / et[0].coef, atoms: rest})
	}
	return fromTerms(out), true
}

// divSum is long division by a sum: the leading terms' quotient, again and again, until nothing is left.
func (d Dim) divSum(e Dim) (Dim, bool) {
	lead := e.terms()[0]
	q := Dim{}
	for range maxQuotient {
		ts := d.terms()
		if len(ts) == 0 {
			return q, true
		}
		rest, ok := removeAtoms(ts[0].atoms, lead.atoms)
		if !ok || ts[0].coef%lead.coef != 0 {
			return Dim{}, false
		}
		part := fromTerms([]term{{ts[0].coef / lead.coef, rest}})
		q, d = q.Add(part), d.Sub(part.Mul(e))
	}
	return Dim{}, false
}

func removeAtoms(from, what []string) ([]string, bool) {
	rest := append([]string{}, from...)
	for _, w := range what {
		i := sort.SearchStrings(rest, w)
		if i == len(rest) || rest[i] != w {
			return nil, false
		}
		rest = append(rest[:i:i], rest[i+1:]...)
	}
	return rest, true
}

// FloorDiv is d divided by e, rounded towards minus infinity; e must not be zero.
func (d Dim) FloorDiv(e Dim) Dim {
	if q, ok := d.Div(e); ok {
		return q
	}
	if c, ok := e.Const(); ok && c > 0 {
		whole, rest := d.splitMultiples(c)
		if !whole.Is(0) {
			q, _ := whole.Div(e)
			return q.Add(rest.FloorDiv(e))
		}
		if x, by, ok := d.Quotient(); ok {
			return x.FloorDiv(Const(by * c))
		}
	}
	return call("floordiv", d, e)
}

// Quotient writes floordiv(x, by) + k as floordiv(x + by*k, by): x then includes k; ok is false if d is none.
func (d Dim) Quotient() (x Dim, by int64, ok bool) {
	for _, t := range d.terms() {
		if len(t.atoms) == 0 {
			continue
		}
		name, inner, div, isCall := splitCall(t.atoms[0])
		if x != (Dim{}) || !isCall || name != "floordiv" || t.coef != 1 || len(t.atoms) != 1 {
			return Dim{}, 0, false
		}
		if by, ok = div.Const(); !ok || by < 1 || by > 1<<20 {
			return Dim{}, 0, false
		}
		rest := d.Sub(call("floordiv", inner, div))
		x = inner.Add(rest.Mul(div))
		if _, isConst := rest.Const(); !isConst {
			return Dim{}, 0, false
		}
	}
	return x, by, by > 0
}

// splitMultiples is d = whole + rest, whole being a multiple of c for every binding and rest's constant lying in [0, c).
func (d Dim) splitMultiples(c int64) (whole, rest Dim) {
	var w []term
	for _, t := range d.terms() {
		coef := t.coef
		if len(t.atoms) == 0 {
			r, _ := apply("mod", coef, c)
			coef -= r
		} else if coef%c != 0 {
			continue
		}
		w = append(w, term{coef, append([]string{}, t.atoms...)})
	}
	whole = fromTerms(w)
	return whole, d.Sub(whole)
}

// CeilDiv is d divided by e, rounded towards plus infinity; e must not be zero.
func (d Dim) CeilDiv(e Dim) Dim {
	if q, ok := d.Div(e); ok {
		return q
	}
	if c, ok := e.Const(); ok && c > 0 {
		if whole, rest := d.splitMultiples(c); !whole.Is(0) {
			q, _ := whole.Div(e)
			return q.Add(rest.CeilDiv(e))
		}
		if _, _, ok := d.Quotient(); ok { // a quotient of a quotient is one, as FloorDiv knows
			return d.Add(Const(c - 1)).FloorDiv(e)
		}
	}
	return call("ceildiv", d, e)
}

// Mod is d - e*floordiv(d, e); e must not be zero.
func (d Dim) Mod(e Dim) Dim {
	if _, ok := d.Div(e); ok {
		return Const(0)
	}
	c, ok := e.Const()
	if !ok || c <= 0 {
		return call("mod", d, e)
	}
	d = d.remainder(c)
	if _, ok := d.Div(e); ok {
		return Const(0)
	}
	for _, t := range d.terms() {
		if c == 2 && t.coef%2 != 0 && len(t.atoms) > 0 { // what makes a size even is what is left of it
			d = d.Sub(fromTerms([]term{{t.coef + 1, t.atoms}}))
		} else if t.coef > 0 && len(t.atoms) > 0 {
			return call("mod", d, e)
		}
	}
	return d.Neg().CeilDiv(e).Mul(e).Add(d) // what fills up -d: it meets d again where something is padded
}

// remainder is what has the same remainder as d by c: multiples of c are left out, and remainders are what they are of.
func (d Dim) remainder(c int64) Dim {
	_, rest := d.splitMultiples(c)
	for _, t := range rest.terms() {
		if len(t.atoms) != 1 {
			continue
		}
		if name, x, by, _ := splitCall(t.atoms[0]); name == "mod" && by.Is(c) {
			rest = rest.Add(x.Sub(Dim{s: t.atoms[0]}).Mul(Const(t.coef)))
		}
	}
	_, rest = rest.splitMultiples(c)
	return rest
}
