// Package ptx is the NVIDIA target: kernels as PTX text for sm_80 and later. It must not know graphs, operators, memory plans or the
// driver that launches the kernels.
//
// The f32 mode follows the rules of package loop: every operation rounds once to nearest even with denormals kept (.rn, no .ftz),
// a row's reduction has sixteen lanes, here the sixteen threads of half a warp, combined by shuffles in the order 8, 4, 2, 1, and
// every element of a product is one chain of fused multiply-adds in increasing k. So the bits are those of the CPU.
//
// Each entry takes one parameter, a structure of 64-bit words; layout.go is the contract with the host.
package ptx
