package loop

// The transcendental functions as fixed programs over correctly rounded operations. Coefficients are least-maximum fits of
// our own (weighted least squares, iterated, in f64, then rounded to f32).

// Exp is e^x to about 1 ulp: x = n ln2 + r with ln2 in two parts (Cody and Waite), e^r = 1 + r + r²P(r), then a scaling by
// 2^n that rounds once. Below -87.3, where results would be denormal, it is 0: a masked score costs no more than another.
func (b *Builder) Exp(x Val) Val { return b.ExpDown(b.Do(Min, b.F(89), x)) }

// ExpDown is Exp of x <= 89.
func (b *Builder) ExpDown(x Val) Val {
	under := b.Do(Lt, x, b.F(-87.3))
	x = b.Do(Max, b.F(-87.3), x)
	n := b.Do(Round, b.Mul(x, b.F(1.4426950216293335)))
	r := b.FMA(n, b.F(-0.693359375), x)
	r = b.FMA(n, b.F(0.00021219444170128554), r)
	p := b.poly(r, 0.0013950599823147058, 0.008368954062461853, 0.04166620597243309, 0.166665181517601, 0.5)
	p = b.FMA(b.Mul(r, r), p, r)
	return b.Do(Select, under, b.F(0), b.Do(Scale, b.Add(p, b.F(1)), n))
}

// poly evaluates a polynomial by Horner's rule, highest coefficient first.
func (b *Builder) poly(x Val, cs ...float32) Val {
	p := b.F(cs[0])
	for _, c := range cs[1:] {
		p = b.FMA(p, x, b.F(c))
	}
	return p
}

// erfcExp is 1 - erf(t) for t >= 0 as exp(t q(t)), q a polynomial of degree 7 fitted on [0, 4]; absolute error below 1e-7.
func (b *Builder) erfcExp(t Val) Val {
	q := b.poly(t, -3.144013317069039e-05, 0.000308801798382774, -0.0010324000613763928, -0.0005369364516809583,
		0.019583962857723236, -0.10291961580514908, -0.636597752571106, -1.128380298614502)
	return b.ExpDown(b.Mul(t, q))
}

// Erf is the error function; absolute error below 2e-7.
func (b *Builder) Erf(x Val) Val {
	t := b.Do(Min, b.F(10), b.Do(Abs, x))
	return b.Do(CopySign, b.Sub(b.F(1), b.erfcExp(t)), x)
}

// Gelu is x Phi(x) in the form max(x, 0) - |x|/2 erfc(|x|/sqrt 2), which keeps the negative tail accurate.
func (b *Builder) Gelu(x Val) Val {
	a := b.Do(Min, b.F(14), b.Do(Abs, x))
	e := b.erfcExp(b.Mul(a, b.F(0.7071067811865476)))
	h := b.Mul(b.Mul(a, b.F(-0.5)), e)
	return b.Add(b.Do(Max, x, b.F(0)), h)
}

// Sigmoid is 1 / (1 + e^-x).
func (b *Builder) Sigmoid(x Val) Val {
	return b.Div(b.F(1), b.Add(b.F(1), b.Exp(b.Do(Neg, x))))
}

// Tanh is sign(x) (1 - e) / (1 + e) with e = e^(-2|x|).
func (b *Builder) Tanh(x Val) Val {
	e := b.ExpDown(b.Mul(b.F(-2), b.Do(Abs, x)))
	return b.Do(CopySign, b.Div(b.Sub(b.F(1), e), b.Add(b.F(1), e)), x)
}

// GeluTanh is x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x³): the tanh form of GELU.
func (b *Builder) GeluTanh(x Val) Val {
	u := b.Mul(x, b.FMA(b.Mul(x, x), b.F(0.044715*1.5957691216057308), b.F(1.5957691216057308)))
	return b.Mul(x, b.Sigmoid(u))
}
