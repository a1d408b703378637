package loop

import (
	"fmt"
	"math"
	"math/big"
	"math/rand"
	"testing"
)

type row []float32

func (r row) At(i int) Scalar     { return Scalar{F: float64(r[i])} }
func (r row) Set(i int, v Scalar) { r[i] = float32(v.F) }

func unary(t *testing.T, f func(*Builder, Val) Val, xs []float32) []float32 {
	t.Helper()
	b := NewBuilder("unary")
	in, out := b.Buffer(Buf{Elem: F32}), b.Buffer(Buf{Elem: F32, Out: true})
	b.Loop(func() { b.Store(out, f(b, b.Load(in))) })
	if err := b.Kernel().Verify(); err != nil {
		t.Fatal(err)
	}
	ys := make([]float32, len(xs))
	if err := b.Kernel().Run(len(xs), row(xs), row(ys)); err != nil {
		t.Fatal(err)
	}
	return ys
}

func TestFMA32(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for i := 0; i < 300000; i++ {
		a, b, c := randomFloat(rng), randomFloat(rng), randomFloat(rng)
		if i%3 == 0 {
			c = -a * b * (1 + float32(rng.Intn(3)-1)*0x1p-23)
		}
		x := new(big.Float).SetPrec(600).Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
		want, _ := x.Add(x, big.NewFloat(float64(c))).Float32()
		if got := FMA32(a, b, c); got != want {
			t.Fatalf("fma(%g, %g, %g) = %g, want %g", a, b, c, got, want)
		}
	}
}

func randomFloat(rng *rand.Rand) float32 {
	return float32(math.Ldexp(rng.Float64()*2-1, rng.Intn(120)-60))
}

func TestMathPrograms(t *testing.T) {
	cases := []struct {
		name     string
		f        func(*Builder, Val) Val
		want     func(float64) float64
		lo, hi   float64
		abs, rel float64
	}{
		{"exp", (*Builder).Exp, math.Exp, -103, 88.7, 1.3e-38, 1.7e-7},
		{"erf", (*Builder).Erf, math.Erf, -12, 12, 2e-7, 0},
		{"tanh", (*Builder).Tanh, math.Tanh, -20, 20, 1.2e-7, 0},
		{"sigmoid", (*Builder).Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -80, 80, 0, 4e-7},
		{"gelu", (*Builder).Gelu, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }, -30, 30, 3e-7, 1e-6},
		{"gelu_tanh", (*Builder).GeluTanh, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}, -30, 30, 4e-7, 1e-6},
		{"softplus", (*Builder).Softplus, func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, -85, 85, 0, 6e-7},
		{"mish", (*Builder).Mish, func(x float64) float64 { return x * math.Tanh(max(x, 0)+math.Log1p(math.Exp(-math.Abs(x)))) }, -80, 80, 1e-37, 1e-6},
	}
	for _, c := range cases {
		xs := make([]float32, 20001)
		for i := range xs {
			xs[i] = float32(c.lo + (c.hi-c.lo)*float64(i)/20000)
		}
		for i, y := range unary(t, c.f, xs) {
			want := c.want(float64(xs[i]))
			if math.Abs(float64(y)-want) > c.abs+c.rel*math.Abs(want) {
				t.Fatalf("%s(%g) = %g, want %g", c.name, xs[i], y, want)
			}
		}
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	got := unary(t, (*Builder).Exp, []float32{-inf, inf, nan, 0})
	if got[0] != 0 || got[1] != inf || got[2] == got[2] || got[3] != 1 {
		t.Errorf("exp of -Inf, Inf, NaN, 0 = %v", got)
	}
	got = unary(t, (*Builder).Gelu, []float32{-inf, inf, nan, 0})
	if got[0] != 0 || got[1] != inf || got[2] == got[2] || got[3] != 0 {
		t.Errorf("gelu of -Inf, Inf, NaN, 0 = %v", got)
	}
	got = unary(t, (*Builder).Sigmoid, []float32{-inf, inf, nan, 0, -90, 90})
	if got[0] != 0 || got[1] != 1 || got[2] == got[2] || got[3] != 0.5 || got[4] != 0 || got[5] != 1 {
		t.Errorf("sigmoid of -Inf, Inf, NaN, 0, -90, 90 = %v", got)
	}
	got = unary(t, (*Builder).Softplus, []float32{-inf, inf, nan, -90})
	if got[0] != 0 || got[1] != inf || got[2] == got[2] || got[3] != 0 {
		t.Errorf("softplus of -Inf, Inf, NaN, -90 = %v", got)
	}
	got = unary(t, (*Builder).Mish, []float32{inf, nan, 0, -90})
	if got[0] != inf || got[1] == got[1] || got[2] != 0 || got[3] != 0 {
		t.Errorf("mish of Inf, NaN, 0, -90 = %v", got)
	}
	got = unary(t, (*Builder).Tanh, []float32{-inf, inf, nan})
	if got[0] != -1 || got[1] != 1 || got[2] == got[2] {
		t.Errorf("tanh of -Inf, Inf, NaN = %v", got)
	}
}

// TestReductionOrder fixes the order: sixteen lanes, then the tree 8, 4, 2, 1.
func TestReductionOrder(t *testing.T) {
	b := NewBuilder("sum")
	in, out := b.Buffer(Buf{Elem: F32}), b.Buffer(Buf{Elem: F32, Out: true, Uniform: true})
	var s Val
	b.Loop(func() { s = b.Reduce(SumLanes, b.Load(in)) })
	b.Store(out, s)
	rng := rand.New(rand.NewSource(2))
	for n := 0; n < 70; n++ {
		xs := make([]float32, n)
		var lane [16]float32
		for i := range xs {
			xs[i] = randomFloat(rng)
			lane[i%16] += xs[i]
		}
		for w := 8; w > 0; w /= 2 {
			for i := 0; i < w; i++ {
				lane[i] += lane[i+w]
			}
		}
		got := make([]float32, 1)
		if err := b.Kernel().Run(n, row(xs), row(got)); err != nil {
			t.Fatal(err)
		}
		if got[0] != lane[0] {
			t.Fatalf("n=%d: %g, want %g", n, got[0], lane[0])
		}
	}
}

func TestVerify(t *testing.T) {
	b := NewBuilder("leak")
	in, out := b.Buffer(Buf{Elem: F32}), b.Buffer(Buf{Elem: F32, Out: true})
	var v Val
	b.Loop(func() { v = b.Load(in) })
	b.Store(out, v)
	if b.Kernel().Verify() == nil {
		t.Error("a loop's value used after the loop passes")
	}
}

// TestInTurns fixes the order for two rows of a window of two places: shared lanes once, chains in turns, ends row by row.
func TestInTurns(t *testing.T) {
	b := NewBuilder("window")
	x, w := b.Buffer(Buf{Elem: F32, Walk: true}), b.Buffer(Buf{Elem: F32})
	z, u := b.Buffer(Buf{Elem: F32, Walk: true}), b.Buffer(Buf{Elem: F32})
	y := b.Buffer(Buf{Elem: F32, Out: true, Walk: true})
	b.Loop(func() {
		v := b.FMA(b.Load(x), b.Load(w), b.F(0))
		v = b.FMA(b.Load(z), b.Load(u), v)
		b.Store(y, b.Mul(v, v))
	})
	k := b.Kernel()
	var got []string
	for _, turn := range k.InTurns(2, false, k.SharedLoads()[1:]) {
		got = append(got, fmt.Sprintf("%v@%d%v", k.Insts[turn.V].Code, turn.Row, turn.Done))
	}
	want := "[load@0[] load@1[] load@-1[] const@0[] const@1[] fma@0[] fma@1[1] load@0[] load@1[] fma@0[] fma@1[] mul@0[] store@0[] mul@1[] store@1[]]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v\nwant %s", got, want)
	}
}
