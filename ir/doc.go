// Package ir is the graph: typed values with symbolic shapes, nodes that apply operators, a text form that prints and parses,
// a verifier, patches, and the reference evaluator. It must not know ONNX's wire format, kernels' code or targets.
//
// A graph's nodes are in topological order and every value has one definition. Shapes are [sym.Dim]s; an integer value whose
// contents are known as dims carries them in Dims, so shape arithmetic folds away without a number being baked in.
package ir
