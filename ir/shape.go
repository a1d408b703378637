package ir

import (
	"errors"
	"fmt"
	"strings"

	"mmc/ir/sym"
)

// Unify is the error of an operator that needs the symbol Sym to equal To: the reader of the model may accept that as a fact,
// to be checked at run time, and start again.
type Unify struct {
	Sym string
	To  sym.Dim
}

func (u *Unify) Error() string { return fmt.Sprintf("%s must equal %v", u.Sym, u.To) }

// Found reports whether the fact is about a size that the program finds from its data: no reader can know it.
func (u *Unify) Found() bool {
	for _, s := range append(u.To.Symbols(), u.Sym) {
		if strings.HasPrefix(s, counted) {
			return true
		}
	}
	return false
}

// Equal returns nil if the dims are equal, a *Unify if they would be under a fact about a symbol, else an error.
func Equal(a, b sym.Dim) error {
	if a == b {
		return nil
	}
	if a.Same(b) == sym.False {
		return fmt.Errorf("sizes %v and %v differ", a, b)
	}
	for _, p := range [][2]sym.Dim{{b, a}, {a, b}} {
		s, to := p[0], p[1]
		if ss := s.Symbols(); len(ss) == 1 && ss[0] == s.String() && !contains(to.Symbols(), ss[0]) {
			return &Unify{ss[0], to}
		}
	}
	for _, p := range [][2]sym.Dim{{b, a}, {a, b}} {
		if u := multiple(p[0], p[1]); u != nil {
			return u
		}
		if other, ok := p[1].MaxWith(p[0]); ok {
			return Equal(p[0], other) // what two sizes broadcast to is one of them where they are the same
		}
	}
	for _, p := range [][2]sym.Dim{{b, a}, {a, b}} {
		if u := divided(p[0], p[1]); u != nil {
			return u
		}
	}
	if u := summand(a, b); u != nil {
		return u
	}
	return fmt.Errorf("sizes %v and %v cannot be shown to be equal", a, b)
}

// summand is the fact about a symbol that is added in one of two equal sizes and not in the other: what the other has more than the rest, which
// cannot be below 0. Exports with a length of its own for each cache need it. nil if there is none.
func summand(a, b sym.Dim) *Unify {
	for _, p := range [][2]sym.Dim{{b, a}, {a, b}} {
		for _, s := range p[0].Symbols() {
			to := p[1].Sub(p[0]).Add(sym.Sym(s))
			if lo, _ := to.Bounds(); lo >= 0 && !contains(to.Symbols(), s) {
				return &Unify{s, to}
			}
		}
	}
	return nil
}

// divided is the fact that makes s equal to what a reshape leaves of a size: a quotient that comes out even; nil if there is none.
func divided(s, to sym.Dim) (u *Unify) {
	x, by, ok := to.Quotient()
	if !ok {
		return nil
	}
	if n, even := x.Div(s); even && errors.As(Equal(n, sym.Const(by)), &u) {
		return u
	}
	return nil
}

// multiple is the fact about a symbol that makes s, a multiple of it, equal to a size; nil if there is none.
func multiple(s, to sym.Dim) *Unify {
	ss := s.Symbols()
	if len(ss) != 1 || contains(to.Symbols(), ss[0]) {
		return nil
	}
	k, ok := s.Div(sym.Sym(ss[0]))
	if n, known := k.Const(); !ok || !known || n < 1 {
		return nil
	}
	if to, ok = to.Div(k); !ok {
		return nil
	}
	return &Unify{ss[0], to}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// BroadcastDim is the size of an axis that numpy-style broadcasting gives a and b.
func BroadcastDim(a, b sym.Dim) (sym.Dim, error) {
	switch {
	case a == b || b.Is(1):
		return a, nil
	case a.Is(1):
		return b, nil
	}
	return a, Equal(a, b)
}

// BroadcastShapes is the common shape of all operands.
func BroadcastShapes(shapes ...[]sym.Dim) ([]sym.Dim, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]sym.Dim, rank)
	for i := range out {
		out[i] = sym.Const(1)
	}
	for _, s := range shapes {
		for i, d := range s {
			k := rank - len(s) + i
			m, err := BroadcastDim(out[k], d)
			if err != nil {
				return nil, fmt.Errorf("axis %d: %w", k, err)
			}
			out[k] = m
		}
	}
	return out, nil
}

// SameShape reports whether two shapes are equal for every binding.
func SameShape(a, b []sym.Dim) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// DimList is a list of dims as a comparable value, for attributes.
type DimList string

// MakeDims packs dims.
func MakeDims(ds []sym.Dim) DimList {
	parts := make([]string, len(ds))
	for i, d := range ds {
		parts[i] = d.String()
	}
	return DimList(strings.Join(parts, ";"))
}

// List unpacks the dims.
func (l DimList) List() []sym.Dim {
	if l == "" {
		return nil
	}
	var out []sym.Dim
	for _, p := range strings.Split(string(l), ";") {
		d, err := sym.Parse(p)
		if err != nil {
			panic("ir: " + err.Error()) // MakeDims and the text parser only make lists that parse
		}
		out = append(out, d)
	}
	return out
}

// IntList is a list of integers as a comparable value, for attributes.
type IntList string

// MakeInts packs integers.
func MakeInts(v ...int64) IntList { return IntList(MakeDims(sym.Consts(v...))) }

// List unpacks the integers.
func (l IntList) List() []int64 { return ConstShape(DimList(l).List()) }
