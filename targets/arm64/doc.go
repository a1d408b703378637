// Package arm64 is the NEON target: tile and row kernels as Go assembly. It must not know graphs, operators or memory plans.
//
// Go's assembler lacks most vector arithmetic on floats. Those instructions come from one table of A64 encodings ([vector]) and
// are emitted as WORD with the instruction in a comment; a test holds every entry against an independent disassembler. Kernels
// leave R16, R17 (linker), R18 (platform), R27 (assembler) and R28 (g) alone.
package arm64
