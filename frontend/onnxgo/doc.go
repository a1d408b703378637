// Package onnxgo is a backend for github.com/owulveryck/onnx-go that builds this compiler's graph, so that a program which
// decodes models with onnx-go can hand them over. It must not know ONNX's wire format, passes, kernels or targets.
//
// onnx-go keeps one edge between two nodes, so an operator that reads the same value twice arrives with one operand; such an
// operation is refused. The decoder does not tell the opset either: operators are read as of [Backend.Opset], 9 by default.
package onnxgo
