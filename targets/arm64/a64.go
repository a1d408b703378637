package arm64

import (
	"fmt"
	"strings"
)

// vector is the table of A64 encodings that Go's assembler lacks, with all register fields zero: Arm Architecture Reference
// Manual (DDI 0487), C7.2. Operand order is that of the manual: Vd, Vn, Vm.
var vector = map[string]struct {
	bits uint32
	args int    // registers
	lane string // arrangement of the operands
}{
	"fadd":   {0x4e20d400, 3, "4s"},
	"fsub":   {0x4ea0d400, 3, "4s"},
	"fmul":   {0x6e20dc00, 3, "4s"},
	"fdiv":   {0x6e20fc00, 3, "4s"},
	"fmla":   {0x4e20cc00, 3, "4s"},
	"fcmeq":  {0x4e20e400, 3, "4s"},
	"fcmge":  {0x6e20e400, 3, "4s"},
	"fcmgt":  {0x6ea0e400, 3, "4s"},
	"and":    {0x4e201c00, 3, "16b"},
	"orr":    {0x4ea01c00, 3, "16b"},
	"eor":    {0x6e201c00, 3, "16b"},
	"bsl":    {0x6e601c00, 3, "16b"},
	"bit":    {0x6ea01c00, 3, "16b"},
	"add":    {0x4ea08400, 3, "4s"},
	"addp":   {0x4ea0bc00, 3, "4s"},
	"sub":    {0x6ea08400, 3, "4s"},
	"fabs":   {0x4ea0f800, 2, "4s"},
	"fneg":   {0x6ea0f800, 2, "4s"},
	"fsqrt":  {0x6ea1f800, 2, "4s"},
	"frintn": {0x4e218800, 2, "4s"},
	"frintm": {0x4e219800, 2, "4s"},
	"frintp": {0x4ea18800, 2, "4s"},
	"frintz": {0x4ea19800, 2, "4s"},
	"fcvtns": {0x4e21a800, 2, "4s"},
	"scvtf":  {0x4e21d800, 2, "4s"},
	"not":    {0x6e205800, 2, "16b"},
}

// encode is the instruction name on registers d, n and, if it has three operands, m, and its text.
func encode(name string, d, n, m int) (uint32, string) {
	e := vector[name]
	regs := []int{d, n, m}[:e.args]
	bits := e.bits | uint32(n)<<5 | uint32(d)
	if e.args == 3 {
		bits |= uint32(m) << 16
	}
	var text []string
	for _, r := range regs {
		text = append(text, fmt.Sprintf("v%d.%s", r, e.lane))
	}
	return bits, name + " " + strings.Join(text, ", ")
}

// fmlaLane is fmla with one lane of the last operand: Vd += Vn * Vm[lane].
func fmlaLane(d, n, m, lane int) (uint32, string) {
	bits := 0x4f801000 | uint32(lane&1)<<21 | uint32(lane>>1)<<11 | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
	return bits, fmt.Sprintf("fmla v%d.4s, v%d.4s, v%d.s[%d]", d, n, m, lane)
}

// sdotLane adds to each lane of Vd four products of the bytes of Vn with those of a word of Vm (FEAT_DotProd).
func sdotLane(d, n, m, lane int) (uint32, string) {
	bits := 0x4f80e000 | uint32(lane&1)<<21 | uint32(lane>>1)<<11 | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
	return bits, fmt.Sprintf("sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, lane)
}

// smull multiplies the low bytes of two registers, smull2 the high ones.
func smull(d, n, m int) (uint32, string) {
	return 0x0e20c000 | uint32(m)<<16 | uint32(n)<<5 | uint32(d), fmt.Sprintf("smull v%d.8h, v%d.8b, v%d.8b", d, n, m)
}

func smull2(d, n, m int) (uint32, string) {
	return 0x4e20c000 | uint32(m)<<16 | uint32(n)<<5 | uint32(d), fmt.Sprintf("smull2 v%d.8h, v%d.16b, v%d.16b", d, n, m)
}

// sadalp adds to each lane of Vd two neighbours of Vn.
func sadalp(d, n int) (uint32, string) {
	return 0x4e606800 | uint32(n)<<5 | uint32(d), fmt.Sprintf("sadalp v%d.4s, v%d.8h", d, n)
}

// fcvtl widens four f16 of Vn to f32, the low ones or, with upper, the high ones.
func fcvtl(d, n int, upper bool) (uint32, string) {
	bits, name, lanes := uint32(0x0e217800), "fcvtl", "4h"
	if upper {
		bits, name, lanes = 0x4e217800, "fcvtl2", "8h"
	}
	return bits | uint32(n)<<5 | uint32(d), fmt.Sprintf("%s v%d.4s, v%d.%s", name, d, n, lanes)
}

// uzp1 takes the even elements of Vn and then of Vm, of two bytes or of one.
func uzp1(d, n, m int, halves bool) (uint32, string) {
	bits, lane := uint32(0x4e001800), "16b"
	if halves {
		bits, lane = 0x4e401800, "8h"
	}
	return bits | uint32(m)<<16 | uint32(n)<<5 | uint32(d), fmt.Sprintf("uzp1 v%d.%s, v%d.%s, v%d.%s", d, lane, n, lane, m, lane)
}

// dupLane spreads one lane of Vn.
func dupLane(d, n, lane int) (uint32, string) {
	bits := 0x4e040400 | uint32(lane)<<19 | uint32(n)<<5 | uint32(d)
	return bits, fmt.Sprintf("dup v%d.4s, v%d.s[%d]", d, n, lane)
}

// ext is bytes at … at+15 of Vm:Vn.
func ext(d, n, m, at int) (uint32, string) {
	bits := 0x6e000000 | uint32(m)<<16 | uint32(at)<<11 | uint32(n)<<5 | uint32(d)
	return bits, fmt.Sprintf("ext v%d.16b, v%d.16b, v%d.16b, #%d", d, n, m, at)
}

// shl shifts the lanes left by a constant below 32.
func shl(d, n, by int) (uint32, string) {
	bits := 0x4f005400 | uint32(32+by)<<16 | uint32(n)<<5 | uint32(d)
	return bits, fmt.Sprintf("shl v%d.4s, v%d.4s, #%d", d, n, by)
}

// loadIndexed and storeIndexed move a register from and to the address Xn + Xm.
func loadIndexed(t, n, m int) (uint32, string) {
	return 0x3ce06800 | uint32(m)<<16 | uint32(n)<<5 | uint32(t), fmt.Sprintf("ldr q%d, [x%d, x%d]", t, n, m)
}

func storeIndexed(t, n, m int) (uint32, string) {
	return 0x3ca06800 | uint32(m)<<16 | uint32(n)<<5 | uint32(t), fmt.Sprintf("str q%d, [x%d, x%d]", t, n, m)
}
