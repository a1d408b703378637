package arith

import (
	"math"
	"sort"
)

// small describes a float of eight bits or fewer: man mantissa bits, the exponent's bias, the greatest finite code, the code of NaN and,
// where there is one, of infinity; -1 for none. FNUZ formats have no negative zero.
type small struct {
	man, bias, last, nan, inf, sign int
	fnuz                            bool
	values                          []float64 // of the codes without sign, 0 … last
}

// The formats of ONNX's types (Micikevicius et al., 2022; Noune et al., 2022; OCP Microscaling, 2023).
var (
	e4m3fn   = newSmall(small{man: 3, bias: 7, last: 0x7e, nan: 0x7f, inf: -1, sign: 0x80})
	e4m3fnuz = newSmall(small{man: 3, bias: 8, last: 0x7f, nan: 0x80, inf: -1, sign: 0x80, fnuz: true})
	e5m2     = newSmall(small{man: 2, bias: 15, last: 0x7b, nan: 0x7e, inf: 0x7c, sign: 0x80})
	e5m2fnuz = newSmall(small{man: 2, bias: 16, last: 0x7f, nan: 0x80, inf: -1, sign: 0x80, fnuz: true})
	e2m1     = newSmall(small{man: 1, bias: 1, last: 7, nan: -1, inf: -1, sign: 8})
)

func newSmall(f small) *small {
	for code := range f.last + 1 {
		exp, man := code>>f.man, code&(1<<f.man-1)
		if exp == 0 {
			f.values = append(f.values, math.Ldexp(float64(man), 1-f.bias-f.man))
			continue
		}
		f.values = append(f.values, math.Ldexp(float64(man+1<<f.man), exp-f.bias-f.man))
	}
	return &f
}

func (f *small) decode(code uint8) float32 {
	c := int(code)
	if f.fnuz && c == f.nan {
		return float32(math.NaN())
	}
	sign := 1.0
	if c&f.sign != 0 {
		sign, c = -1, c&^f.sign
	}
	switch {
	case c <= f.last:
		return float32(math.Copysign(f.values[c], sign))
	case c == f.inf:
		return float32(math.Inf(int(sign)))
	}
	return float32(math.NaN())
}

// encode rounds to nearest, ties to even; what is beyond the greatest number becomes infinity, or NaN where there is none, or that number
// where there is neither.
func (f *small) encode(x float32) uint8 {
	a, sign := math.Abs(float64(x)), 0
	if math.Signbit(float64(x)) {
		sign = f.sign
	}
	if x != x {
		if f.nan < 0 {
			return uint8(f.sign)
		}
		if f.fnuz {
			return uint8(f.nan)
		}
		return uint8(f.nan | sign)
	}
	i := sort.SearchFloat64s(f.values, a) // the first that is not less
	switch {
	case i > f.last:
		i = f.beyond(a)
	case f.values[i] != a:
		low, high := a-f.values[i-1], f.values[i]-a
		if low < high || low == high && (i-1)%2 == 0 {
			i--
		}
	}
	if f.fnuz && (i == 0 || i == f.nan) {
		return uint8(i)
	}
	return uint8(i | sign)
}

// beyond is the code of a number greater than the last one.
func (f *small) beyond(a float64) int {
	last := f.values[f.last]
	step := last - f.values[f.last-1]
	half := last + float64(step/2)
	near := a < half || a == half && f.last%2 == 0
	switch {
	case near || f.nan < 0:
		return f.last
	case f.inf >= 0:
		return f.inf
	}
	return f.nan
}

// The conversions between f32 and narrow floats.
func F8E4M3FNToF32(c uint8) float32   { return e4m3fn.decode(c) }
func F8E4M3FNUZToF32(c uint8) float32 { return e4m3fnuz.decode(c) }
func F8E5M2ToF32(c uint8) float32     { return e5m2.decode(c) }
func F8E5M2FNUZToF32(c uint8) float32 { return e5m2fnuz.decode(c) }
func F4E2M1ToF32(c uint8) float32     { return e2m1.decode(c) }
func F32ToF8E4M3FN(x float32) uint8   { return e4m3fn.encode(x) }
func F32ToF8E4M3FNUZ(x float32) uint8 { return e4m3fnuz.encode(x) }
func F32ToF8E5M2(x float32) uint8     { return e5m2.encode(x) }
func F32ToF8E5M2FNUZ(x float32) uint8 { return e5m2fnuz.encode(x) }
func F32ToF4E2M1(x float32) uint8     { return e2m1.encode(x) }

// F8E8M0ToF32 is 2^(c-127), or NaN for 255.
func F8E8M0ToF32(c uint8) float32 {
	if c == 255 {
		return float32(math.NaN())
	}
	return float32(math.Ldexp(1, int(c)-127))
}

// F32ToF8E8M0 rounds |x| up to a power of two.
func F32ToF8E8M0(x float32) uint8 {
	a := math.Abs(float64(x))
	if x != x || math.IsInf(a, 0) {
		return 255
	}
	if a == 0 {
		return 0
	}
	frac, exp := math.Frexp(a) // a = frac 2^exp, frac in [1/2, 1)
	if frac == 0.5 {
		exp--
	}
	return uint8(min(max(exp+127, 0), 254))
}

// Int4, Uint4, Int2 and Uint2 keep the low bits of an integer.
func Int4(x int64) int8   { return int8(x << 60 >> 60) }
func Uint4(x int64) uint8 { return uint8(x & 15) }
func Int2(x int64) int8   { return int8(x << 62 >> 62) }
func Uint2(x int64) uint8 { return uint8(x & 3) }
