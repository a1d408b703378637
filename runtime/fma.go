package rt

import "math"

// FMA is a*b+c rounded once to f32. The product is exact in f64; where rounding the sum twice could err, the f64 sum is
// rounded to odd first.
func FMA(a, b, c float32) float32 {
	p, z := float64(a)*float64(b), float64(c)
	s := float64(p) + z
	u := math.Float64bits(s)
	if u&0x1fffffff != 0x10000000 && u>>52&0x7ff > 1023-126 {
		return float32(s)
	}
	return fmaSlow(p, z, s)
}

func fmaSlow(p, z, s float64) float32 {
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	v := s - p
	e := (p - (s - v)) + (z - v)
	u := math.Float64bits(s)
	if e != 0 && u&1 == 0 {
		if (e > 0) == (s > 0) {
			u++
		} else {
			u--
		}
	}
	return float32(math.Float64frombits(u))
}

// Scale is a * 2^n rounded once, for a in [0.5, 2) and integral n in [-252, 252].
func Scale(a, n float32) float32 {
	h := int(math.RoundToEven(float64(n) / 2))
	x := a * math.Float32frombits(uint32(h+127)<<23)
	return x * math.Float32frombits(uint32(int(n)-h+127)<<23)
}

// Min is a < b ? a : b and Max a > b ? a : b: b if either is NaN, as the vector instructions have it.
func Min(a, b float32) float32 {
	if a < b {
		return a
	}
	return b
}

func Max(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}

// Tree combines sixteen lanes in the fixed order 8, 4, 2, 1.
func Tree(l *[16]float32, f func(a, b float32) float32) float32 {
	for w := 8; w > 0; w /= 2 {
		for i := range w {
			l[i] = f(l[i], l[i+w])
		}
	}
	return l[0]
}

// Sum and Prod are for Tree.
func Sum(a, b float32) float32  { return a + b }
func Prod(a, b float32) float32 { return a * b }

// ToInt truncates towards zero, saturating at the ends of int64; NaN gives 0.
func ToInt(f float64) int64 {
	switch {
	case f != f:
		return 0
	case f >= 1<<63:
		return math.MaxInt64
	case f <= -1<<63:
		return math.MinInt64
	}
	return int64(f)
}

// DivInt and ModInt give 0 for a division by zero; ModInt has the sign of b.
func DivInt[T int | int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	return a / b
}

func ModInt[T int | int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64](a, b T) T {
	if b == 0 {
		return 0
	}
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

// Select is c ? a : b.
func Select[T any](c bool, a, b T) T {
	if c {
		return a
	}
	return b
}

// BoolInt is 1 for true.
func BoolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ModFloat is the remainder of a / b with the sign of b.
func ModFloat[T float32 | float64](a, b T) T {
	r := math.Mod(float64(a), float64(b))
	if r != 0 && (r < 0) != (b < 0) {
		r += float64(b)
	}
	return T(r)
}
