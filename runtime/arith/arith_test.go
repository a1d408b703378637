package arith

import (
	"math"
	"testing"
)

// TestAgainstMath compares with Go's functions on f32 arguments of all sizes.
func TestAgainstMath(t *testing.T) {
	for name, f := range map[string][2]func(float64) float64{
		"exp": {Exp, math.Exp}, "expm1": {Expm1, math.Expm1}, "log": {Log, math.Log}, "log1p": {Log1p, math.Log1p}, "sin": {Sin, math.Sin},
		"cos": {Cos, math.Cos}, "tan": {Tan, math.Tan}, "atan": {Atan, math.Atan}, "asin": {Asin, math.Asin}, "acos": {Acos, math.Acos},
		"sinh": {Sinh, math.Sinh}, "cosh": {Cosh, math.Cosh}, "tanh": {Tanh, math.Tanh}, "asinh": {Asinh, math.Asinh}, "acosh": {Acosh, math.Acosh},
		"atanh": {Atanh, math.Atanh},
	} {
		bits := uint32(1)
		for range 200000 {
			bits = bits*1664525 + 1013904223
			x := float64(math.Float32frombits(bits))
			if got, want := f[0](x), f[1](x); !close(got, want) {
				t.Errorf("%s(%g) = %g, want %g", name, x, got, want)
				break
			}
		}
		for _, x := range []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 0.5, 2, 1e-30, -1e-30, 88, -104} {
			got, want := f[0](x), f[1](x)
			if !close(got, want) || got == 0 && math.Signbit(got) != math.Signbit(want) {
				t.Errorf("%s(%g) = %g, want %g", name, x, got, want)
			}
		}
	}
}

// close wants 1e-13 of the value, or where f32 has no normal numbers of the least of them.
func close(got, want float64) bool {
	if got != got || want != want {
		return got != got && want != want
	}
	return got == want || math.Abs(got-want) <= 1e-13*math.Max(math.Abs(want), 1e-38) || math.Abs(want) > math.MaxFloat32 && math.Abs(got) > math.MaxFloat32
}

func TestPow(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 1, -1, 2, -2, 0.5, 3, -3, 2.5, -2.5, math.Inf(1), math.Inf(-1), math.NaN(), 1e30, 1e-30}
	for _, x := range special {
		for _, y := range special {
			if got, want := Pow(x, y), math.Pow(x, y); !close(got, want) && math.Abs(want) > 1e-38 && !(math.Abs(y) > 100) {
				t.Errorf("pow(%g, %g) = %g, want %g", x, y, got, want)
			}
		}
	}
}
