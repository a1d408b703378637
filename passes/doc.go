// Package passes rewrites graphs: one file a pass, in the order of pipeline.go. It must not know ONNX files, kernels' code or
// targets.
//
// A pass is a list of rules; a rule looks at one node and returns a patch, or nil if it does not apply. Rules keep to three
// laws: never make the program worse, keep the ONNX names of what is replaced, and say why a fusion that was nearly possible
// was refused.
package passes
