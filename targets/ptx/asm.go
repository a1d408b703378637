package ptx

import (
	"fmt"
	"strings"
)

// Register classes: the letter after the percent sign, and PTX's type.
var classes = []struct{ letter, kind string }{{"f", ".f32"}, {"d", ".f64"}, {"l", ".b64"}, {"r", ".b32"}, {"h", ".b16"}, {"p", ".pred"}}

// asm prints one entry. Registers are never reused: ptxas allocates them.
type asm struct {
	b      strings.Builder
	count  map[string]int
	labels int
	align  int // bytes that the parameter is aligned to
}

// entry prints a kernel for threads threads a block; its parameter is words 64-bit words. shared is bytes of static shared memory.
func entry(name, comment string, words, threads, shared int, body func(a *asm)) string {
	a := &asm{count: map[string]int{}, align: 8}
	body(a)
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(comment), "\n") {
		fmt.Fprintf(&out, "// %s\n", line)
	}
	fmt.Fprintf(&out, ".visible .entry %s(.param .align %d .b8 args[%d])\n.maxntid %d, 1, 1\n{\n", name, a.align, words*8, threads)
	for _, c := range classes {
		if n := a.count[c.letter]; n > 0 {
			fmt.Fprintf(&out, "\t.reg %s %%%s<%d>;\n", c.kind, c.letter, n)
		}
	}
	if shared > 0 {
		fmt.Fprintf(&out, "\t.shared .align 16 .b8 tile[%d];\n", shared)
	}
	out.WriteString(a.b.String())
	out.WriteString("}\n\n")
	return out.String()
}

// reg is a fresh register of a class.
func (a *asm) reg(class string) string {
	n := a.count[class]
	a.count[class]++
	return fmt.Sprintf("%%%s%d", class, n)
}

// i prints an instruction.
func (a *asm) i(format string, args ...any) {
	a.b.WriteByte('\t')
	fmt.Fprintf(&a.b, format, args...)
	a.b.WriteString(";\n")
}

// set prints an instruction whose result goes to a fresh register of a class: op, then the operands.
func (a *asm) set(class, op string, args ...string) string {
	d := a.reg(class)
	a.i("%s %s, %s", op, d, strings.Join(args, ", "))
	return d
}

func (a *asm) label(l string) { fmt.Fprintf(&a.b, "%s:\n", l) }

// fresh is a label that the entry has not used.
func (a *asm) fresh(prefix string) string {
	a.labels++
	return fmt.Sprintf("%s_%d", prefix, a.labels)
}

// word is word at of the parameter.
func (a *asm) word(at int) string { return a.set("l", "ld.param.u64", fmt.Sprintf("[args+%d]", at*8)) }

// word32 is the low half of word at.
func (a *asm) word32(at int) string {
	return a.set("r", "ld.param.u32", fmt.Sprintf("[args+%d]", at*8))
}

// wordAt is word at + index of the parameter, index a 32-bit register.
func (a *asm) wordAt(params, index string, at int) string {
	off := a.set("l", "mul.wide.u32", index, "8")
	addr := a.set("l", "add.s64", params, off)
	return a.set("l", "ld.param.u64", fmt.Sprintf("[%s+%d]", addr, at*8))
}

// num is a constant operand.
func num(n int) string { return fmt.Sprint(n) }

// forDown prints body for index = count-1 … 0, count and index 32-bit registers.
func (a *asm) forDown(count string, body func(index string)) {
	top, end := a.fresh("axis"), a.fresh("axes")
	index := a.set("r", "mov.u32", count)
	a.label(top)
	p := a.set("p", "setp.eq.u32", index, "0")
	a.i("@%s bra %s", p, end)
	a.i("sub.u32 %s, %s, 1", index, index)
	body(index)
	a.i("bra %s", top)
	a.label(end)
}

// forStep prints body for index = from, from+step, … below limit.
func (a *asm) forStep(from, limit string, step int, body func(index string)) {
	top, end := a.fresh("loop"), a.fresh("end")
	index := a.set("r", "mov.u32", from)
	a.label(top)
	p := a.set("p", "setp.ge.u32", index, limit)
	a.i("@%s bra %s", p, end)
	body(index)
	a.i("add.u32 %s, %s, %d", index, index, step)
	a.i("bra %s", top)
	a.label(end)
}

// scaled is base + index * size, index a 32-bit register.
func (a *asm) scaled(base, index string, size int) string {
	return a.set("l", "add.s64", base, a.set("l", "mul.wide.u32", index, num(size)))
}
