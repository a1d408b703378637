package arm64

import (
	"fmt"
	"strings"

	"mmc/codegen"
)

// unpack prints the kernel that makes f32 of coded weights. Registers: R0 the arguments, R1 from, R2 to, R3 blocks left, R4 the steps of one,
// R5 those left of it; V16 … V19 zeros, V20 … V23 scales, V24 what keeps four bits, V0 and V1 the numbers of two steps, V2 … V7 wider ones.
func (w *asm) unpack(name string, bits int) {
	w.text("// %s makes f32 of weights of %d bits.\n// Requires: NEON\n//\tfor b in blocks, r in rows { to[b,r,0:16] = (from[b,r,0:16] - zero[b,0:16]) * scale[b,0:16] }\n//\n// func %s(u *rt.Unpack)\n",
		name, bits, name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	w.i("MOVD", "u+0(FP)", "R0")
	for _, l := range [][2]string{{"0(R0)", "R1"}, {"8(R0)", "R2"}, {"16(R0)", "R3"}, {"24(R0)", "R4"}} {
		w.i("MOVD", l[0], l[1])
	}
	w.i("VMOVI", "$15", "V24.B16")
	w.label("block")
	w.i("FMOVQ", "(R1)", "F0")
	w.widen(0, 16)
	w.i("FLDPQ", "16(R1)", "(F20, F21)")
	w.i("FLDPQ", "48(R1)", "(F22, F23)")
	w.i("ADD", "$80", "R1")
	w.i("MOVD", "R4", "R5")
	w.label("rows")
	w.i("FMOVQ", "(R1)", "F0")
	steps := 8 / bits
	if steps == 2 {
		w.i("VUSHR", "$4", "V0.B16", "V1.B16")
		w.i("VAND", "V24.B16", "V0.B16", "V0.B16")
	}
	for s := range steps {
		w.widen(s, 4)
		for i := range 4 {
			w.op("sub", 4+i, 4+i, 16+i)
			w.op("scvtf", 4+i, 4+i, 0)
			w.op("fmul", 4+i, 4+i, 20+i)
		}
		w.i("FSTPQ", "(F4, F5)", fmt.Sprintf("%d(R2)", s*64))
		w.i("FSTPQ", "(F6, F7)", fmt.Sprintf("%d(R2)", s*64+32))
	}
	w.i("ADD", "$16", "R1")
	w.i("ADD", fmt.Sprintf("$%d", steps*64), "R2")
	w.i("SUBS", fmt.Sprintf("$%d", steps), "R5", "R5")
	w.i("BGT", "rows")
	w.i("SUBS", "$1", "R3", "R3")
	w.i("BNE", "block")
	w.i("RET")
	w.text("\n")
}

// widen makes words of the sixteen bytes of a register, in four registers, by way of V2 and V3.
func (w *asm) widen(from, to int) {
	w.i("VUSHLL", "$0", fmt.Sprintf("V%d.B8", from), "V2.H8")
	w.i("VUSHLL2", "$0", fmt.Sprintf("V%d.B16", from), "V3.H8")
	for i := range 2 {
		w.i("VUSHLL", "$0", fmt.Sprintf("V%d.H4", 2+i), fmt.Sprintf("V%d.S4", to+2*i))
		w.i("VUSHLL2", "$0", fmt.Sprintf("V%d.H8", 2+i), fmt.Sprintf("V%d.S4", to+2*i+1))
	}
}

// unpackHalves prints the kernel for upper halves of f32, or f16. Registers: as unpack's; V0 and V1 sixteen numbers, V2 … V5 as f32.
func (w *asm) unpackHalves(name string, half bool) {
	w.text("// %s makes f32 of weights of two bytes.\n// Requires: NEON\n//\tfor b in blocks, r in rows { to[b,r,0:16] = f32(from[b,r,0:16]) }\n//\n// func %s(u *rt.Unpack)\n", name, name)
	w.text("TEXT ·%s(SB), NOSPLIT, $0-8\n", name)
	w.i("MOVD", "u+0(FP)", "R0")
	for _, l := range [][2]string{{"0(R0)", "R1"}, {"8(R0)", "R2"}, {"16(R0)", "R3"}, {"24(R0)", "R4"}} {
		w.i("MOVD", l[0], l[1])
	}
	w.i("MUL", "R3", "R4", "R5")
	w.label("rows")
	w.i("FLDPQ", "(R1)", "(F0, F1)")
	for i := range 2 {
		if half {
			w.v(fcvtl(2+2*i, i, false))
			w.v(fcvtl(3+2*i, i, true))
			continue
		}
		w.i("VUSHLL", "$0", fmt.Sprintf("V%d.H4", i), fmt.Sprintf("V%d.S4", 2+2*i))
		w.i("VUSHLL2", "$0", fmt.Sprintf("V%d.H8", i), fmt.Sprintf("V%d.S4", 3+2*i))
		for d := range 2 {
			w.v(shl(2+2*i+d, 2+2*i+d, 16))
		}
	}
	w.i("FSTPQ", "(F2, F3)", "(R2)")
	w.i("FSTPQ", "(F4, F5)", "32(R2)")
	w.i("ADD", "$32", "R1")
	w.i("ADD", "$64", "R2")
	w.i("SUBS", "$1", "R5", "R5")
	w.i("BGT", "rows")
	w.i("RET")
	w.text("\n")
}

// coded prints the kernels of coded weights that are wanted; it gives the field of rt.Gemm that names them.
func (w *asm) coded(decl *strings.Builder, wanted [codegen.Codings]bool) string {
	var list []string
	for i, name := range [codegen.Codings]string{"u4", "u8", "bf16", "f16"} {
		if !wanted[i] {
			continue
		}
		name = "unpack_" + name + "__neon"
		if i < 2 {
			w.unpack(name, 4+4*i)
		} else {
			w.unpackHalves(name, i == 3)
		}
		fmt.Fprintf(decl, "//go:noescape\nfunc %s(u *rt.Unpack)\n\n", name)
		list = append(list, fmt.Sprintf("%d: {Unpack: %s}", i, name))
	}
	return codegen.CodedField(list)
}
