// Package amd64 emits Go assembly for AVX-512 and AVX2. It must not know graphs or operators.
//
// ABI0, arguments on the stack; R14 (the goroutine) is left alone and every kernel that used wide registers ends with
// VZEROUPPER. Row kernels: n in CX, the row's byte offset in R15, buffer pointers in the registers of ptrRegs; values in vector
// registers by linear scan, constants as memory operands. AVX-512 takes sixteen lanes in one register and masks tails with K1;
// AVX2 takes them as two halves of eight, one after the other, and masks tails with Y15. Tile kernels: see tile.go; packing: pack.go.
//
// ISA floors: AVX-512 F, BW, DQ, VL; or AVX2 and FMA.
package amd64
