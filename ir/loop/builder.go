package loop

// Builder makes a kernel instruction by instruction. Equal pure instructions of one stage are made once.
type Builder struct {
	k    *Kernel
	open map[Inst]Val // pure instructions that can be reused now
}

// NewBuilder starts an empty kernel.
func NewBuilder(name string) *Builder {
	return &Builder{k: &Kernel{Name: name}, open: map[Inst]Val{}}
}

// Kernel ends the work and returns the kernel.
func (b *Builder) Kernel() *Kernel { return b.k }

// Buffer adds a parameter and returns its index.
func (b *Builder) Buffer(p Buf) int {
	b.k.Bufs = append(b.k.Bufs, p)
	return len(b.k.Bufs) - 1
}

// Loop opens a stage over the row for what body builds; its values cannot be used after it, its reductions only after it.
func (b *Builder) Loop(body func()) {
	b.k.Stages = append(b.k.Stages, Stage{Loop: true})
	outer := b.open
	b.open = map[Inst]Val{}
	for in, v := range outer {
		b.open[in] = v
	}
	body()
	b.open = outer
	b.k.Stages = append(b.k.Stages, Stage{})
}

func (b *Builder) inst(in Inst, args ...Val) Val {
	in.Args = [3]Val{None, None, None}
	copy(in.Args[:], args)
	pure := in.Code != Store && !in.Code.Reduction()
	if v, ok := b.open[in]; ok && pure {
		return v
	}
	v := Val(len(b.k.Insts))
	b.k.Insts = append(b.k.Insts, in)
	if len(b.k.Stages) == 0 {
		b.k.Stages = append(b.k.Stages, Stage{})
	}
	s := &b.k.Stages[len(b.k.Stages)-1]
	s.Insts = append(s.Insts, v)
	if pure {
		b.open[in] = v
	}
	return v
}

// Elem is the type of a value.
func (b *Builder) Elem(v Val) Elem { return b.k.Insts[v].Elem }

// F is an f32 constant.
func (b *Builder) F(x float32) Val { return b.inst(Inst{Code: Const, Elem: F32, Imm: float64(x)}) }

// C is a constant of any type.
func (b *Builder) C(e Elem, f float64, i int64) Val {
	if e.Float() {
		return b.inst(Inst{Code: Const, Elem: e, Imm: f})
	}
	return b.inst(Inst{Code: Const, Elem: e, Int: i})
}

// Len is the row's length.
func (b *Builder) Len() Val { return b.inst(Inst{Code: Len, Elem: F32}) }

// Load reads a buffer; Store writes one.
func (b *Builder) Load(buf int) Val {
	return b.inst(Inst{Code: Load, Elem: b.k.Bufs[buf].Elem, Buf: buf})
}

func (b *Builder) Store(buf int, v Val) {
	b.inst(Inst{Code: Store, Elem: b.k.Bufs[buf].Elem, Buf: buf}, v)
}

// Do applies a code whose result has the type of its operands; comparisons give Bool.
func (b *Builder) Do(c Code, args ...Val) Val {
	e := b.Elem(args[0])
	switch c {
	case Lt, Le, Eq:
		e = Bool
	case Select:
		e = b.Elem(args[1])
	}
	return b.inst(Inst{Code: c, Elem: e}, args...)
}

// Convert changes the element type; the same type is no change.
func (b *Builder) Convert(e Elem, v Val) Val {
	if b.Elem(v) == e {
		return v
	}
	return b.inst(Inst{Code: Convert, Elem: e}, v)
}

// Call applies one of Go's math functions.
func (b *Builder) Call(name string, v ...Val) Val {
	return b.inst(Inst{Code: Call, Elem: b.Elem(v[0]), Name: name}, v...)
}

func (b *Builder) Add(x, y Val) Val    { return b.Do(Add, x, y) }
func (b *Builder) Sub(x, y Val) Val    { return b.Do(Sub, x, y) }
func (b *Builder) Mul(x, y Val) Val    { return b.Do(Mul, x, y) }
func (b *Builder) Div(x, y Val) Val    { return b.Do(Div, x, y) }
func (b *Builder) FMA(x, y, z Val) Val { return b.Do(FMA, x, y, z) }

// Reduce combines the lanes of the open loop; the result can be used after it. DotLanes takes two values, the others one.
func (b *Builder) Reduce(c Code, args ...Val) Val {
	return b.inst(Inst{Code: c, Elem: F32}, args...)
}
