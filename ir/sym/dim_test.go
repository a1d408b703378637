package sym

import (
	"math/rand"
	"testing"
)

func TestCanonical(t *testing.T) {
	a, b := Sym("s0"), Sym("s1")
	left := a.Add(b).Mul(a.Sub(b))
	right := a.Mul(a).Sub(b.Mul(b))
	if left != right {
		t.Fatalf("(a+b)(a-b) = %v, a²-b² = %v", left, right)
	}
	if got := a.Mul(Const(6)).FloorDiv(Const(3)); got != a.Mul(Const(2)) {
		t.Errorf("6a/3 = %v", got)
	}
	if got := a.Mul(b).Mul(Const(4)).FloorDiv(b); got != a.Mul(Const(4)) {
		t.Errorf("4ab/b = %v", got)
	}
	sum := a.Mul(b).Mul(Const(12)).Add(b.Mul(Const(12)))
	if got := sum.Mul(Const(4)).FloorDiv(sum); !got.Is(4) {
		t.Errorf("4(12ab+12b)/(12ab+12b) = %v", got)
	}
	if got, ok := a.Mul(a).Sub(b.Mul(b)).Div(a.Add(b)); !ok || got != a.Sub(b) {
		t.Errorf("(a²-b²)/(a+b) = %v, %v", got, ok)
	}
	if got := a.Min(Const(1 << 40)); got != a {
		t.Errorf("min(a, 2^40) = %v", got)
	}
	if got := a.Max(Const(1)); got != a {
		t.Errorf("max(a, 1) = %v", got)
	}
	if a.Same(a.Add(Const(1))) != False || a.Same(b) != Unknown {
		t.Error("Same guesses")
	}
}

// TestPadded wants what makes a size a multiple to vanish where it is added, and parts of a size to be it again.
func TestPadded(t *testing.T) {
	a := Sym("s0").FloorDiv(Const(4))
	pad := Const(7).Sub(a.Mod(Const(7))).Mod(Const(7))
	if got := a.Add(pad); got != a.CeilDiv(Const(7)).Mul(Const(7)) {
		t.Errorf("x + (7 - x mod 7) mod 7 = %v", got)
	}
	if got := a.CeilDiv(Const(2)); got != Sym("s0").Add(Const(4)).FloorDiv(Const(8)) {
		t.Errorf("half of a quarter, rounded up, is %v", got)
	}
	if lo, hi := pad.Bounds(); lo != 0 || hi != 6 {
		t.Errorf("%v is in [%d, %d]", pad, lo, hi)
	}
	if got := a.Add(a.Mod(Const(2))); got != a.CeilDiv(Const(2)).Mul(Const(2)) {
		t.Errorf("x + x mod 2 = %v", got)
	}
	shift := a.Min(Const(3))
	if got := a.Sub(shift).Max(Const(0)).Add(shift); got != a {
		t.Errorf("max(0, x - min(3, x)) + min(3, x) = %v", got)
	}
}

// TestRandom builds random expressions twice, as Dims and as numbers, and compares after printing and parsing.
func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	names := []string{"s0", "s1", "s2"}
	for round := 0; round < 2000; round++ {
		env := Binding{}
		for _, n := range names {
			env[n] = 1 + rng.Int63n(40)
		}
		d, want := randomDim(rng, env, 4)
		back, err := Parse(d.String())
		if err != nil {
			t.Fatal(err)
		}
		if back != d {
			t.Fatalf("%v parses as %v", d, back)
		}
		got, err := d.Eval(env)
		if err != nil || got != want {
			t.Fatalf("%v at %v = %d, %v; want %d", d, env, got, err, want)
		}
		if lo, hi := d.Bounds(); got < lo || got > hi {
			t.Fatalf("%v = %d outside its bounds [%d, %d]", d, got, lo, hi)
		}
		if s := d.Subst(map[string]Dim{"s0": Const(env["s0"]), "s1": Const(env["s1"]), "s2": Const(env["s2"])}); !s.Is(want) {
			t.Fatalf("%v with everything bound = %v, want %d", d, s, want)
		}
	}
}

func randomDim(rng *rand.Rand, env Binding, depth int) (Dim, int64) {
	if depth == 0 || rng.Intn(4) == 0 {
		if rng.Intn(2) == 0 {
			n := rng.Int63n(9)
			return Const(n), n
		}
		name := []string{"s0", "s1", "s2"}[rng.Intn(3)]
		return Sym(name), env[name]
	}
	x, xv := randomDim(rng, env, depth-1)
	y, yv := randomDim(rng, env, depth-1)
	k := 1 + rng.Int63n(7)
	switch rng.Intn(8) {
	case 0:
		return x.Add(y), xv + yv
	case 1:
		return x.Sub(y), xv - yv
	case 2:
		return x.Mul(y), xv * yv
	case 3:
		v, _ := apply("floordiv", xv, k)
		return x.FloorDiv(Const(k)), v
	case 7:
		v, _ := apply("ceildiv", xv, k)
		return x.CeilDiv(Const(k)), v
	case 4:
		v, _ := apply("mod", xv, k)
		return x.Mod(Const(k)), v
	case 5:
		return x.Min(y), min(xv, yv)
	}
	return x.Max(y), max(xv, yv)
}

func TestParseErrors(t *testing.T) {
	for _, src := range []string{"", "+", "2*", "f(1,2)", "min(1)", "min(1,2", "a b+", "1)", "min(,)"} {
		if d, err := Parse(src); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", src, d)
		}
	}
}

func TestSaturation(t *testing.T) {
	big := Const(1 << 62)
	if v, _ := big.Mul(Const(16)).Const(); v != 1<<63-1 {
		t.Errorf("2^66 saturates to %d", v)
	}
	if v, _ := big.Add(big).Const(); v != 1<<63-1 {
		t.Errorf("2^63 saturates to %d", v)
	}
	if d, err := Parse(Const(-1 << 63).String()); err != nil || d != Const(-1<<63) {
		t.Errorf("-2^63 parses as %v, %v", d, err)
	}
	low := Sym("s0").Add(Const(-1 << 63)).Sub(Sym("s1"))
	if lo, _ := low.Min(Const(0)).Bounds(); lo != -1<<63 && lo != -1<<63+1 {
		t.Errorf("%v is at least %d", low, lo)
	}
}
