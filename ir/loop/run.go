package loop

import (
	"fmt"
	"math"

	"mmc/runtime/arith"
)

// Scalar is a value of any element type: floats in F, the others in I.
type Scalar struct {
	F float64
	I int64
}

// FMA32 is a*b+c rounded once to f32. The product is exact in f64; the sum is rounded to odd there, so that the second
// rounding cannot err (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
func FMA32(a, b, c float32) float32 {
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

// Buffer is a row as the interpreter sees it.
type Buffer interface {
	At(i int) Scalar
	Set(i int, v Scalar)
}

// Run executes the kernel on one row of n elements. It is the meaning of the kernel IR.
func (k *Kernel) Run(n int, bufs ...Buffer) error {
	if len(bufs) != len(k.Bufs) {
		return fmt.Errorf("kernel %s takes %d buffers, got %d", k.Name, len(k.Bufs), len(bufs))
	}
	m := &machine{k: k, n: n, bufs: bufs, vals: make([]Scalar, len(k.Insts)), lanes: map[Val]*[16]float64{}}
	for _, s := range k.Stages {
		m.stage(s)
	}
	return nil
}

type machine struct {
	k     *Kernel
	n     int
	bufs  []Buffer
	vals  []Scalar
	lanes map[Val]*[16]float64
}

func (m *machine) stage(s Stage) {
	if !s.Loop {
		for _, v := range s.Insts {
			m.step(v, 0)
		}
		return
	}
	for _, v := range s.Insts {
		if c := m.k.Insts[v].Code; c.Reduction() {
			m.lanes[v] = initialLanes(c)
		}
	}
	for i := 0; i < m.n; i++ {
		for _, v := range s.Insts {
			m.step(v, i)
		}
	}
	for _, v := range s.Insts {
		if c := m.k.Insts[v].Code; c.Reduction() {
			m.vals[v] = Scalar{F: tree(c, m.lanes[v])}
		}
	}
}

func initialLanes(c Code) *[16]float64 {
	l := new([16]float64)
	for i := range l {
		switch c {
		case MaxLanes:
			l[i] = math.Inf(-1)
		case MinLanes:
			l[i] = math.Inf(1)
		case ProdLanes:
			l[i] = 1
		}
	}
	return l
}

func combine(c Code, a, b float64) float64 {
	switch c {
	case MaxLanes:
		return maxOf(a, b)
	case MinLanes:
		return minOf(a, b)
	case ProdLanes:
		return float64(float32(a * b))
	}
	return float64(float32(a + b))
}

func tree(c Code, l *[16]float64) float64 {
	for w := 8; w > 0; w /= 2 {
		for i := 0; i < w; i++ {
			l[i] = combine(c, l[i], l[i+w])
		}
	}
	return l[0]
}

func minOf(a, b float64) float64 {
	if a < b {
		return a
	}
	return b
}

func maxOf(a, b float64) float64 {
	if a > b {
		return a
	}
	return b
}

func (m *machine) step(v Val, i int) {
	in := &m.k.Insts[v]
	var a, b, c Scalar
	if in.Args[0] != None {
		a = m.vals[in.Args[0]]
	}
	if in.Args[1] != None {
		b = m.vals[in.Args[1]]
	}
	if in.Args[2] != None {
		c = m.vals[in.Args[2]]
	}
	switch in.Code {
	case Const:
		m.vals[v] = Scalar{F: in.Imm, I: in.Int}
	case Len:
		m.vals[v] = Scalar{F: float64(float32(m.n))}
	case Load:
		if m.k.Bufs[in.Buf].Uniform {
			i = 0
		}
		m.vals[v] = m.bufs[in.Buf].At(i)
	case Store:
		m.bufs[in.Buf].Set(i, a)
	case DotLanes:
		l := m.lanes[v]
		l[i%16] = float64(FMA32(float32(a.F), float32(b.F), float32(l[i%16])))
	case SumLanes, MaxLanes, MinLanes, ProdLanes:
		l := m.lanes[v]
		l[i%16] = combine(in.Code, a.F, l[i%16])
	case Convert:
		m.vals[v] = ConvertScalar(a, m.k.Insts[in.Args[0]].Elem, in.Elem)
	default:
		m.vals[v] = Apply(in, m.k.argElem(in), a, b, c)
	}
}

func (k *Kernel) argElem(in *Inst) Elem {
	if in.Code == Select {
		return in.Elem
	}
	return k.Insts[in.Args[0]].Elem
}

// Apply computes one pure instruction on scalars of type e.
func Apply(in *Inst, e Elem, a, b, c Scalar) Scalar {
	switch {
	case in.Code == Select:
		if a.I != 0 {
			return b
		}
		return c
	case e == F32:
		return applyF32(in, float32(a.F), float32(b.F), float32(c.F))
	case e.Float():
		return applyFloat(in, a.F, b.F, c.F)
	}
	return Scalar{I: wrap(e, applyInt(in.Code, e, a.I, b.I))}
}

func truth(t bool) Scalar {
	if t {
		return Scalar{I: 1}
	}
	return Scalar{}
}

func applyF32(in *Inst, a, b, c float32) Scalar {
	switch in.Code {
	case Call:
		if f, ok := arith.Functions[in.Name]; ok {
			return Scalar{F: float64(float32(f(float64(a), float64(b))))}
		}
	case FMA:
		return Scalar{F: float64(FMA32(a, b, c))}
	case ExpBits:
		return Scalar{F: float64(math.Float32frombits(math.Float32bits(a) << 23))}
	case Scale:
		h := math.RoundToEven(float64(b) / 2)
		x := a * float32(math.Ldexp(1, int(h)))
		return Scalar{F: float64(x * float32(math.Ldexp(1, int(float64(b)-h))))}
	}
	s := applyFloat(in, float64(a), float64(b), float64(c))
	s.F = float64(float32(s.F)) // +, -, *, / and sqrt of f32 values round correctly through f64 (Figueroa 1995)
	return s
}

func applyFloat(in *Inst, a, b, c float64) Scalar {
	switch in.Code {
	case Add:
		return Scalar{F: a + b}
	case Sub:
		return Scalar{F: a - b}
	case Mul:
		return Scalar{F: a * b}
	case Div:
		return Scalar{F: a / b}
	case FMA:
		return Scalar{F: math.FMA(a, b, c)}
	case Mod:
		return Scalar{F: floorMod(a, b)}
	case Neg:
		return Scalar{F: math.Copysign(a, math.Copysign(1, a)*-1)}
	case Abs:
		return Scalar{F: math.Abs(a)}
	case Sqrt:
		return Scalar{F: math.Sqrt(a)}
	case Min:
		return Scalar{F: minOf(a, b)}
	case Max:
		return Scalar{F: maxOf(a, b)}
	case Round:
		return Scalar{F: math.RoundToEven(a)}
	case Floor:
		return Scalar{F: math.Floor(a)}
	case Ceil:
		return Scalar{F: math.Ceil(a)}
	case Trunc:
		return Scalar{F: math.Trunc(a)}
	case CopySign:
		return Scalar{F: math.Copysign(a, b)}
	case Lt:
		return truth(a < b)
	case Le:
		return truth(a <= b)
	case Eq:
		return truth(a == b)
	case Call:
		return Scalar{F: callMath(in.Name, a, b)}
	}
	panic(fmt.Sprintf("loop: %v has no meaning on floats", in.Code))
}

func floorMod(a, b float64) float64 {
	r := math.Mod(a, b)
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

// MathFuncs are the names that Call may use, with what they compute.
var MathFuncs = map[string]func(a, b float64) float64{
	"Exp": func(a, _ float64) float64 { return math.Exp(a) }, "Log": func(a, _ float64) float64 { return math.Log(a) },
	"Sin": func(a, _ float64) float64 { return math.Sin(a) }, "Cos": func(a, _ float64) float64 { return math.Cos(a) },
	"Tan": func(a, _ float64) float64 { return math.Tan(a) }, "Atan": func(a, _ float64) float64 { return math.Atan(a) },
	"Asin": func(a, _ float64) float64 { return math.Asin(a) }, "Acos": func(a, _ float64) float64 { return math.Acos(a) },
	"Sinh": func(a, _ float64) float64 { return math.Sinh(a) }, "Cosh": func(a, _ float64) float64 { return math.Cosh(a) },
	"Asinh": func(a, _ float64) float64 { return math.Asinh(a) }, "Acosh": func(a, _ float64) float64 { return math.Acosh(a) },
	"Atanh": func(a, _ float64) float64 { return math.Atanh(a) }, "Log1p": func(a, _ float64) float64 { return math.Log1p(a) },
	"Expm1": func(a, _ float64) float64 { return math.Expm1(a) }, "Tanh": func(a, _ float64) float64 { return math.Tanh(a) },
	"Erf": func(a, _ float64) float64 { return math.Erf(a) }, "Pow": math.Pow,
}

func callMath(name string, a, b float64) float64 { return MathFuncs[name](a, b) }

func applyInt(c Code, e Elem, a, b int64) int64 {
	unsigned := e == U64
	switch c {
	case Add:
		return a + b
	case Sub:
		return a - b
	case Mul:
		return a * b
	case Div, Mod:
		return divMod(c, unsigned, a, b)
	case Neg:
		return -a
	case Abs:
		return max(a, -a)
	case Min, Max:
		if less(unsigned, a, b) == (c == Min) {
			return a
		}
		return b
	case And:
		return a & b
	case Or:
		return a | b
	case Xor:
		return a ^ b
	case Shl:
		return int64(uint64(a) << uint64(b))
	case Shr:
		return int64(uint64(a) >> uint64(b))
	case Not:
		return a ^ 1
	case Lt:
		return truth(less(unsigned, a, b)).I
	case Le:
		return truth(!less(unsigned, b, a)).I
	case Eq:
		return truth(a == b).I
	case Round, Floor, Ceil, Trunc:
		return a
	}
	panic(fmt.Sprintf("loop: %v has no meaning on integers", c))
}

func less(unsigned bool, a, b int64) bool {
	if unsigned {
		return uint64(a) < uint64(b)
	}
	return a < b
}

// divMod gives 0 for a division by zero, as the emitted code does; Mod has the sign of b.
func divMod(c Code, unsigned bool, a, b int64) int64 {
	if b == 0 {
		return 0
	}
	if unsigned {
		if c == Div {
			return int64(uint64(a) / uint64(b))
		}
		return int64(uint64(a) % uint64(b))
	}
	if c == Div {
		return a / b
	}
	r := a % b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

func wrap(e Elem, v int64) int64 {
	switch e {
	case I8:
		return int64(int8(v))
	case U8:
		return int64(uint8(v))
	case I16:
		return int64(int16(v))
	case U16:
		return int64(uint16(v))
	case I32:
		return int64(int32(v))
	case U32:
		return int64(uint32(v))
	case I4:
		return int64(arith.Int4(v))
	case U4:
		return int64(arith.Uint4(v))
	case I2:
		return int64(arith.Int2(v))
	case U2:
		return int64(arith.Uint2(v))
	}
	return v
}

// ConvertScalar changes the element type of a value. Floats go to integers by truncation, saturating, NaN to 0; to bool by != 0.
func ConvertScalar(s Scalar, from, to Elem) Scalar {
	switch {
	case from.Float() && to.Float():
		if to == F32 {
			s.F = float64(float32(s.F))
		}
		return Scalar{F: s.F}
	case from.Float() && to == Bool:
		return truth(s.F != 0)
	case from.Float():
		return Scalar{I: wrap(to, floatToInt(s.F))}
	case to == F32:
		if from == U64 {
			return Scalar{F: float64(float32(uint64(s.I)))}
		}
		return Scalar{F: float64(float32(s.I))}
	case to.Float():
		return Scalar{F: float64(s.I)}
	case to == Bool:
		return truth(s.I != 0)
	}
	return Scalar{I: wrap(to, s.I)}
}

func floatToInt(f float64) int64 {
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
