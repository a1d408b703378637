package loop

import (
	"fmt"
	"slices"
	"strings"
)

// Code is what one instruction does. Operands are named a, b, c in order.
type Code uint8

const (
	Const     Code = iota // the constant Imm (float) or Int
	Len                   // the row's length n as f32
	Load                  // element i of buffer Buf, or its only element if the buffer is uniform
	Store                 // element i of buffer Buf = a
	Add                   // a + b
	Sub                   // a - b
	Mul                   // a * b
	Div                   // a / b; integers truncate towards zero
	Mod                   // integer remainder with the sign of b
	FMA                   // a*b + c, rounded once
	Neg                   // -a
	Abs                   // |a|
	Sqrt                  // square root
	Min                   // a < b ? a : b, so b if either is NaN
	Max                   // a > b ? a : b, so b if either is NaN
	Round                 // nearest integer, ties to even
	Floor                 // next integer below
	Ceil                  // next integer above
	Trunc                 // next integer towards zero
	Scale                 // a * 2^b rounded once; a in [0.5, 2), b integral in [-252, 252]
	ExpBits               // the f32 whose bits are those of a, shifted left by 23: 2^n if a is 3*2^22 + 127 + n
	CopySign              // |a| with the sign of b
	Lt                    // a < b
	Le                    // a <= b
	Eq                    // a == b
	And                   // a and b, bit by bit
	Or                    // a or b, bit by bit
	Xor                   // a xor b, bit by bit
	Shl                   // a * 2^b (integers), 0 from the type's width on
	Shr                   // a / 2^b rounded down (unsigned integers), 0 from the type's width on
	Not                   // not a (bool)
	Select                // a ? b : c
	Convert               // a in element type Elem; float to integer truncates and saturates, NaN gives 0
	SumLanes              // reduction: lane += a; value after the loop
	DotLanes              // reduction: lane = fma(a, b, lane)
	MaxLanes              // reduction: lane = Max(a, lane), from -Inf
	MinLanes              // reduction: lane = Min(a, lane), from +Inf
	ProdLanes             // reduction: lane *= a
	Call                  // a function by Name, computed in f64 and rounded: on f32 one of package arith, on f64 one of Go's math
)

var codeNames = []string{"const", "len", "load", "store", "add", "sub", "mul", "div", "mod", "fma", "neg", "abs", "sqrt", "min",
	"max", "round", "floor", "ceil", "trunc", "scale", "expbits", "copysign", "lt", "le", "eq", "and", "or", "xor", "shl", "shr", "not", "select",
	"convert", "sum", "dot", "maxlane", "minlane", "prod", "call"}

func (c Code) String() string { return codeNames[c] }

// Reduction reports whether c combines the lanes of a loop into one value.
func (c Code) Reduction() bool { return c >= SumLanes && c <= ProdLanes }

// Val names the result of an instruction; None is no operand.
type Val int

const None Val = -1

// Inst is one instruction. Its result has type Elem.
type Inst struct {
	Code Code
	Elem Elem
	Args [3]Val
	Buf  int     // for Load and Store
	Imm  float64 // for Const
	Int  int64   // for Const of an integer or bool type
	Name string  // for Call: Exp, Log, Sin, …
}

// Buf is a parameter: a row of n elements, or a single element that all lanes share. One that walks is another row at each place of a
// walk, a fixed distance from the row before.
type Buf struct {
	Elem    Elem
	Out     bool
	Uniform bool
	Walk    bool
}

// Stage is a loop over the row or, if Loop is false, code that runs once on uniform values.
type Stage struct {
	Loop  bool
	Insts []Val
}

// Reduces reports whether a stage of k has a reduction.
func (s *Stage) Reduces(k *Kernel) bool {
	return slices.ContainsFunc(s.Insts, func(v Val) bool { return k.Insts[v].Code.Reduction() })
}

// Uses reports whether a stage of k loads from a buffer or stores to it.
func (s *Stage) Uses(k *Kernel, buf int) bool {
	return slices.ContainsFunc(s.Insts, func(v Val) bool {
		in := &k.Insts[v]
		return (in.Code == Load || in.Code == Store) && in.Buf == buf
	})
}

// Kernel is a row kernel or, if a buffer walks, a walk kernel: one that does the same for the rows of several places. A walk kernel is
// one loop without reductions. Inst k defines value k.
type Kernel struct {
	Name   string
	Bufs   []Buf
	Insts  []Inst
	Stages []Stage
}

// Key is a text that two kernels share exactly when they do the same; the name is not part of it.
func (k *Kernel) Key() string {
	var b strings.Builder
	for i, buf := range k.Bufs {
		fmt.Fprintf(&b, "b%d:%v,%v,%v,%v;", i, buf.Elem, buf.Out, buf.Uniform, buf.Walk)
	}
	for _, s := range k.Stages {
		fmt.Fprintf(&b, "{%v", s.Loop)
		for _, v := range s.Insts {
			fmt.Fprintf(&b, ";%d=%s", v, k.Insts[v].text())
		}
		b.WriteByte('}')
	}
	return b.String()
}

func (in Inst) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v.%v", in.Code, in.Elem)
	switch in.Code {
	case Const:
		if in.Elem.Float() {
			fmt.Fprintf(&b, " %g", in.Imm)
		} else {
			fmt.Fprintf(&b, " %d", in.Int)
		}
	case Load, Store:
		fmt.Fprintf(&b, " p%d", in.Buf)
	case Call:
		b.WriteString(" " + in.Name)
	}
	for _, a := range in.Args {
		if a != None {
			fmt.Fprintf(&b, " v%d", a)
		}
	}
	return b.String()
}

// String is the listing that stands in the header of the emitted kernel.
func (k *Kernel) String() string {
	var b strings.Builder
	for _, s := range k.Stages {
		indent := ""
		if s.Loop {
			b.WriteString("for i in n\n")
			indent = "\t"
			if k.Walks() {
				b.WriteString("\tfor q in places\n")
				indent = "\t\t"
			}
		}
		for _, v := range s.Insts {
			in := k.Insts[v]
			if in.Code == Store {
				place := ""
				if k.Bufs[in.Buf].Walk {
					place = "[q]"
				}
				fmt.Fprintf(&b, "%sp%d%s[i] = v%d\n", indent, in.Buf, place, in.Args[0])
				continue
			}
			fmt.Fprintf(&b, "%sv%d = %s\n", indent, v, in.text())
		}
	}
	return b.String()
}

// Walks reports whether k is a walk kernel.
func (k *Kernel) Walks() bool {
	for _, b := range k.Bufs {
		if b.Walk {
			return true
		}
	}
	return false
}

// Reduces reports whether k has a reduction.
func (k *Kernel) Reduces() bool {
	return slices.ContainsFunc(k.Stages, func(s Stage) bool { return s.Reduces(k) })
}

// Pure reports whether every value and buffer is f32 (or a comparison's bool) and no Call is used: what the SIMD targets take.
func (k *Kernel) Pure() bool {
	for _, b := range k.Bufs {
		if b.Elem != F32 {
			return false
		}
	}
	for _, s := range k.Stages {
		for _, v := range s.Insts {
			in := k.Insts[v]
			if !in.pure() {
				return false
			}
		}
	}
	return true
}

func (in *Inst) pure() bool {
	switch in.Code {
	case Call, Convert, Mod:
		return false
	case Const, Select, Load:
		return in.Elem == F32
	}
	return in.Elem == F32 || in.Elem == Bool
}

// Verify checks that operands are defined before their use and in scope: a loop's values end with it, its reductions begin then.
func (k *Kernel) Verify() error {
	defined := make([]bool, len(k.Insts))
	for _, s := range k.Stages {
		for _, v := range s.Insts {
			if err := k.verifyInst(v, defined); err != nil {
				return fmt.Errorf("kernel %s: %w", k.Name, err)
			}
			defined[v] = !k.Insts[v].Code.Reduction()
		}
		for _, v := range s.Insts {
			if s.Loop {
				defined[v] = k.Insts[v].Code.Reduction()
			}
		}
	}
	return nil
}

func (k *Kernel) verifyInst(v Val, defined []bool) error {
	in := k.Insts[v]
	for _, a := range in.Args {
		if a != None && (int(a) >= len(defined) || !defined[a]) {
			return fmt.Errorf("v%d uses v%d, which is not defined there", v, a)
		}
	}
	if (in.Code == Load || in.Code == Store) && in.Buf >= len(k.Bufs) {
		return fmt.Errorf("v%d names buffer %d of %d", v, in.Buf, len(k.Bufs))
	}
	return nil
}
