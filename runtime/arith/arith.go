// Package arith is the functions of f32 that are not programs of kernels: logarithms, circular and hyperbolic functions, powers. It
// must not know tensors or kernels.
//
// They are computed in f64 by fixed formulas, good to about 1e-14, and rounded once by the caller. Every product is converted
// explicitly, so that no compiler fuses it with a sum: the bits are those of every architecture, which Go's math package does not
// promise. The series are Taylor's on ranges reduced as in Muller, Elementary Functions (2016), chapters 3 and 11.
package arith

import "math"

// horner evaluates a polynomial, highest coefficient first.
func horner(x float64, cs ...float64) float64 {
	p := cs[0]
	for _, c := range cs[1:] {
		p = float64(p*x) + c
	}
	return p
}

// ln 2 and pi/2 in parts: products of the first with small integers are exact.
const (
	ln2Hi, ln2Lo           = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	halfPi1                = 1.57079632673412561417e+00
	halfPi2                = 6.07710050630396597660e-11
	halfPi3                = 2.02226624879595063154e-21
	log2E, twoOverPi       = 1.44269504088896338700, 6.36619772367581382433e-01
	greatest, circularMost = 709.0, 1 << 20
)

// Exp is e^x.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > greatest:
		return math.Inf(1)
	case x < -greatest:
		return 0
	}
	n := math.RoundToEven(float64(x * log2E))
	r := x - float64(n*ln2Hi)
	r -= float64(n * ln2Lo)
	return math.Ldexp(horner(r, 1./6227020800, 1./479001600, 1./39916800, 1./3628800, 1./362880, 1./40320, 1./5040, 1./720, 1./120, 1./24, 1./6, 1./2, 1, 1), int(n))
}

// Expm1 is e^x - 1.
func Expm1(x float64) float64 {
	if math.Abs(x) > 0.1 {
		return Exp(x) - 1
	}
	return float64(x * horner(x, 1./362880, 1./40320, 1./5040, 1./720, 1./120, 1./24, 1./6, 1./2, 1))
}

// Log is the natural logarithm.
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = float64(m*2), e-1
	}
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	p := horner(z, 1./21, 1./19, 1./17, 1./15, 1./13, 1./11, 1./9, 1./7, 1./5, 1./3, 1)
	k := float64(e)
	return float64(k*ln2Hi) + (float64(2*float64(s*p)) + float64(k*ln2Lo))
}

// Log1p is log(1 + x), for x with no more bits than an f32 has.
func Log1p(x float64) float64 {
	if math.Abs(x) > 1e-3 {
		return Log(1 + x)
	}
	return float64(x * horner(x, -1./6, 1./5, -1./4, 1./3, -1./2, 1))
}

// sinCos are sin and cos of x below 2^20 in size.
func sinCos(x float64) (sin, cos float64) {
	n := math.RoundToEven(float64(x * twoOverPi))
	r := x - float64(n*halfPi1)
	r -= float64(n * halfPi2)
	r -= float64(n * halfPi3)
	z := float64(r * r)
	s := float64(r * horner(z, 1./355687428096000, -1./1307674368000, 1./6227020800, -1./39916800, 1./362880, -1./5040, 1./120, -1./6, 1))
	c := horner(z, 1./20922789888000, -1./87178291200, 1./479001600, -1./3628800, 1./40320, -1./720, 1./24, -1./2, 1)
	switch int64(n) & 3 {
	case 1:
		return c, -s
	case 2:
		return -s, -c
	case 3:
		return -c, s
	}
	return s, c
}

// Sin, Cos and Tan are Go's where x is 2^20 or more: the reduction here would lose too much.
func Sin(x float64) float64 {
	if !(math.Abs(x) < circularMost) {
		return math.Sin(x)
	}
	if x == 0 {
		return x
	}
	s, _ := sinCos(x)
	return s
}

func Cos(x float64) float64 {
	if !(math.Abs(x) < circularMost) {
		return math.Cos(x)
	}
	_, c := sinCos(x)
	return c
}

func Tan(x float64) float64 {
	if !(math.Abs(x) < circularMost) {
		return math.Tan(x)
	}
	if x == 0 {
		return x
	}
	s, c := sinCos(x)
	return s / c
}

// Atan is the arc tangent: above 1 of the reciprocal, above tan(pi/12) thirty degrees less.
func Atan(x float64) float64 {
	a, add, sign := math.Abs(x), 0.0, 1.0
	if a != a || a == 0 {
		return x
	}
	if a > 1 {
		a, add, sign = 1/a, math.Pi/2, -1
	}
	part := 0.0
	if a > 0.2679491924311227 {
		a, part = (float64(a*1.7320508075688772)-1)/(a+1.7320508075688772), math.Pi/6
	}
	z := float64(a * a)
	p := horner(z, 1./29, -1./27, 1./25, -1./23, 1./21, -1./19, 1./17, -1./15, 1./13, -1./11, 1./9, -1./7, 1./5, -1./3, 1)
	r := part + float64(a*p)
	return math.Copysign(add+float64(sign*r), x)
}

// Asin and Acos are arc tangents of the half-angle formulas.
func Asin(x float64) float64 {
	if x == 0 {
		return x
	}
	return Atan(x / math.Sqrt(float64((1-x)*(1+x))))
}

func Acos(x float64) float64 { return float64(2 * Atan(math.Sqrt((1-x)/(1+x)))) }

// Sinh, Cosh and Tanh come from exponentials, near 0 from series.
func Sinh(x float64) float64 {
	if math.Abs(x) < 0.5 {
		return float64(x * horner(float64(x*x), 1./1307674368000, 1./6227020800, 1./39916800, 1./362880, 1./5040, 1./120, 1./6, 1))
	}
	e := Exp(math.Abs(x))
	return math.Copysign((e-1/e)/2, x)
}

func Cosh(x float64) float64 {
	e := Exp(math.Abs(x))
	return (e + 1/e) / 2
}

func Tanh(x float64) float64 {
	if math.Abs(x) > 20 {
		return math.Copysign(1, x)
	}
	e := Expm1(float64(2 * x))
	return e / (e + 2)
}

// Asinh, Acosh and Atanh come from logarithms, near 0 from series.
func Asinh(x float64) float64 {
	a := math.Abs(x)
	if a < 0.03 {
		return float64(x * horner(float64(x*x), 35./1152, -15./336, 3./40, -1./6, 1))
	}
	return math.Copysign(Log(a+math.Sqrt(float64(a*a)+1)), x)
}

func Acosh(x float64) float64 {
	if x < 1 {
		return math.NaN()
	}
	t := x - 1
	return Log(1 + (t + math.Sqrt(float64(t*(t+2)))))
}

func Atanh(x float64) float64 {
	if math.Abs(x) < 0.03 {
		return float64(x * horner(float64(x*x), 1./11, 1./9, 1./7, 1./5, 1./3, 1))
	}
	return Log((1+x)/(1-x)) / 2
}

// Pow is x^y, with the special cases of IEEE 754's pow (9.2.1).
func Pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case x != x || y != y:
		return math.NaN()
	case x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0):
		return math.Pow(x, y)
	}
	whole := y == math.Trunc(y)
	if x < 0 && !whole {
		return math.NaN()
	}
	r := Exp(float64(y * Log(math.Abs(x))))
	if x < 0 && math.Mod(y, 2) != 0 {
		r = -r
	}
	return r
}

// Functions are the names that kernels may call; those of one argument ignore the second.
var Functions = map[string]func(x, y float64) float64{"Exp": one(Exp), "Expm1": one(Expm1), "Log": one(Log), "Log1p": one(Log1p), "Sin": one(Sin),
	"Cos": one(Cos), "Tan": one(Tan), "Atan": one(Atan), "Asin": one(Asin), "Acos": one(Acos), "Sinh": one(Sinh), "Cosh": one(Cosh), "Tanh": one(Tanh),
	"Asinh": one(Asinh), "Acosh": one(Acosh), "Atanh": one(Atanh), "Pow": Pow}

func one(f func(float64) float64) func(x, _ float64) float64 {
	return func(x, _ float64) float64 { return f(x) }
}
