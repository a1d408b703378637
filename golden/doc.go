// Package golden holds the truth that every target shares: models with expected outputs, operator cases, the command line as
// scripts, emitted text, hostile files. Its tests build real programs and run them; they must not know how the compiler works
// inside.
package golden
