// Package op holds the operators, one file each: shape rule, meaning, what a code generator needs to lower it, and the ONNX
// spellings that map to it. It must not know protobuf, passes, kernels' code or targets.
//
// Operators on f32 have defined arithmetic: elementwise ones by a loop program, contractions as one chain of fused
// multiply-adds in increasing k starting from zero, reductions by sixteen lanes and a fixed tree (see package loop).
package op
