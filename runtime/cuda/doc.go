// Package cuda runs a program's jobs as kernels on an NVIDIA GPU: it turns each into a launch. It must not know how the driver is
// reached (see libcuda) nor how kernels are written; layout.go is the contract with the compiler's PTX.
package cuda
