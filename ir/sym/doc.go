// Package sym is the algebra of symbolic dimensions. It must not know tensors, graphs or files.
//
// A [Dim] is a polynomial with integer coefficients over atoms. An atom is a symbol (an input axis whose size is known only
// when a program runs) or one of floordiv, ceildiv, mod, min, max applied to two dims. Dims are kept in one canonical text,
// so two dims are equal polynomials exactly when they are == in Go, and a Dim can be a map key.
//
// Every symbol is at least 1 and at most 2^31; arithmetic on constants saturates at the ends of int64, and whoever gives a
// size to the machine has to refuse values beyond its own limit.
package sym
