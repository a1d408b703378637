// Package ptxsim executes PTX: what the compiler's emitter prints, and nothing else. It is for tests on machines without a GPU, and
// knows nothing of the emitter; an instruction that it has no meaning for is an error.
//
// A block's threads run in turns until each waits at a barrier or a shuffle, so an entry that misses one deadlocks and fails.
// Every global access must lie inside one allocation, every shared one inside the block's memory.
package ptxsim
