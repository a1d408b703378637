package loop

// The transcendental functions as fixed programs over correctly rounded operations. Coefficients are least-maximum fits of
// our own (weighted least squares, iterated, in f64, then rounded to f32).

// Exp is e^x to about 1 ulp: x = n ln2 + r with ln2 in two parts (Cody and Waite), e^r = 1 + r + r²P(r), then a scaling by
// 2^n that rounds once. Below -87.3, where results would be denormal, it is 0: a masked score costs no more than another.
func (b *Builder) Exp(x Val) Val {
	x = b.Do(Min, b.F(89), x)
	under := b.Do(Lt, x, b.F(-87.3))
	x = b.Do(Max, b.F(-87.3), x)
	n := b.Do(Round, b.Mul(x, b.F(1.4426950216293335)))
	r := b.FMA(n, b.F(-0.693359375), x)
	r = b.FMA(n, b.F(0.00021219444170128554), r)
	p := b.poly(r, 0.0013950599823147058, 0.008368954062461853, 0.04166620597243309, 0.166665181517601, 0.5)
	p = b.FMA(b.Mul(r, r), p, r)
	return b.Do(Select, under, b.F(0), b.Do(Scale, b.Add(p, b.F(1)), n))
}

// whole is a number so large that the sum of a small one and it is rounded to an integer, the last bits of the sum (Muller et al.,
// "Handbook of Floating-Point Arithmetic", 2018, 10.2.2). With 127 more they are the exponent field of a power of two, see ExpBits.
const whole = 3 << 22

// ExpNeg is e^-a for a >= 0: a = r - n ln2, e^-r = 1 + rQ(r), relative error 1.5e-7 up to 20 and 4e-7 further on. It is 0 from 87.3 on,
// where results would be denormal: a masked score costs no more than another.
func (b *Builder) ExpNeg(a Val) Val {
	under := b.Do(Lt, b.F(87.3), a)
	sum := b.FMA(a, b.F(-1.4426950216293335), b.F(whole+127))
	r := b.FMA(b.Sub(sum, b.F(whole+127)), b.F(0.6931471824645996), a)
	q := b.poly(r, 0.0013843607157468796, -0.008374195545911789, 0.04166800528764725, -0.16666430234909058, 0.4999999403953552, -1)
	return b.orZero(under, b.powerTimes(sum, b.Mul(r, q)))
}

// powerTimes is 2^n (1 + f), n the last bits of a sum with whole.
func (b *Builder) powerTimes(sum, f Val) Val {
	s := b.Do(ExpBits, sum)
	return b.FMA(f, s, s)
}

// orZero is 0 where c holds, v elsewhere.
func (b *Builder) orZero(c, v Val) Val { return b.Do(Select, c, b.F(0), v) }

// poly evaluates a polynomial by Horner's rule, highest coefficient first.
func (b *Builder) poly(x Val, cs ...float32) Val {
	p := b.F(cs[0])
	for _, c := range cs[1:] {
		p = b.FMA(p, x, b.F(c))
	}
	return p
}

// minusHalfErfc is -erfc(a/sqrt 2)/2 for a >= 0 as -2^(a q(a) - 1), q a polynomial of degree 7 fitted on [0, 5.6]; absolute error below
// 7e-8. The sign and the half are in the exponent field: 256 is the sign's bit there. From a = 10 on it is 0.
func (b *Builder) minusHalfErfc(a Val) Val {
	const bias = whole + 256 + 126
	q := b.poly(a, -2.834912720572902e-06, 3.9377689972752705e-05, -0.00018618024478200823, -0.00013693637447431684,
		0.00706342002376914, -0.052496179938316345, -0.4592081904411316, -1.1511051654815674)
	sum := b.FMA(a, q, b.F(bias))
	under := b.Do(Lt, sum, b.F(whole+256+1))
	r := b.FMA(a, q, b.Sub(b.F(bias), sum))
	f := b.Mul(r, b.poly(r, 0.0013264591107144952, 0.009671619161963463, 0.0555073507130146, 0.24022240936756134, 0.6931470036506653))
	return b.orZero(under, b.powerTimes(sum, f))
}

// Erf is the error function; absolute error below 2e-7.
func (b *Builder) Erf(x Val) Val {
	a := b.Do(Min, b.F(14), b.Mul(b.Do(Abs, x), b.F(1.4142135623730951)))
	return b.Do(CopySign, b.FMA(b.F(2), b.minusHalfErfc(a), b.F(1)), x)
}

// Gelu is x Phi(x) in the form max(x, 0) - |x| erfc(|x|/sqrt 2)/2, which keeps the negative tail accurate.
func (b *Builder) Gelu(x Val) Val {
	a := b.Do(Min, b.F(14), b.Do(Abs, x))
	return b.FMA(a, b.minusHalfErfc(a), b.Do(Max, x, b.F(0)))
}

// Sigmoid is 1 / (1 + e^-x), as e^x / (1 + e^x) for x < 0.
func (b *Builder) Sigmoid(x Val) Val {
	e := b.ExpNeg(b.Do(Abs, x))
	return b.Div(b.Do(Select, b.Do(Lt, x, b.F(0)), e, b.F(1)), b.Add(b.F(1), e))
}

// Softplus is log(1 + e^x) as max(x, 0) + log1p(e), e = e^-|x|: log1p(e) / e is a polynomial of degree 9 fitted on [0, 1], relative error
// 1.5e-7.
func (b *Builder) Softplus(x Val) Val {
	e := b.ExpNeg(b.Do(Abs, x))
	p := b.poly(e, -0.0032440233044326305, 0.019851453602313995, -0.05695951730012894, 0.10603653639554977, -0.15305592119693756,
		0.1967593878507614, -0.24954134225845337, 0.3332996368408203, -0.4999990165233612, 1)
	return b.FMA(e, p, b.Do(Max, x, b.F(0)))
}

// Mish is x tanh(log(1 + e^x)), whose tanh is ((1 + e^x)² - 1) / ((1 + e^x)² + 1) = n / (n + d), with e = e^-|x|: n = e (e + 2) and d = 2 or,
// for x >= 0, n = 1 + 2e and d = 2e².
func (b *Builder) Mish(x Val) Val {
	e := b.ExpNeg(b.Do(Abs, x))
	below := b.Do(Lt, x, b.F(0))
	twice := b.Add(e, e)
	n := b.Do(Select, below, b.FMA(e, e, twice), b.Add(b.F(1), twice))
	d := b.Do(Select, below, b.F(2), b.Mul(twice, e))
	return b.Mul(x, b.Div(n, b.Add(n, d)))
}

// Tanh is sign(x) (1 - e) / (1 + e) with e = e^(-2|x|).
func (b *Builder) Tanh(x Val) Val {
	a := b.Do(Abs, x)
	e := b.ExpNeg(b.Add(a, a))
	return b.Do(CopySign, b.Div(b.Sub(b.F(1), e), b.Add(b.F(1), e)), x)
}

// GeluTanh is x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x³): the tanh form of GELU.
func (b *Builder) GeluTanh(x Val) Val {
	u := b.Mul(x, b.FMA(b.Mul(x, x), b.F(0.044715*1.5957691216057308), b.F(1.5957691216057308)))
	return b.Mul(x, b.Sigmoid(u))
}
