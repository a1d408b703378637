// Package loop is the kernel IR: what a target must be able to say about one row of elements. It must not know graphs,
// operators, memory plans or machine registers.
//
// A [Kernel] works on rows of n elements. Its body is a list of stages; a stage is either straight-line code on uniform
// values or a loop over the row, sixteen virtual lanes at a time: element i belongs to lane i mod 16. A reduction keeps one
// partial result a lane, in increasing order of i, and combines the lanes by the fixed tree 8, 4, 2, 1. Every code rounds
// once, to nearest even, with denormals kept. Those rules are the meaning of f32 in this compiler: a target that follows them
// gives the same bits as [Kernel.Run].
package loop
