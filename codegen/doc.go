// Package codegen turns a graph into a [Plan] — kernels, a schedule of driver calls, a symbolic arena, packed weights, repeated
// layers — and a plan into the Go source of a module. It must not know ONNX files, and it imports no target: a target gives it
// kernels through [Target] and never sees a graph.
package codegen
