package amd64

import (
	"fmt"
	"math"

	"mmc/ir/loop"
)

// zeros are the choices of 0 under a condition that AVX-512 makes with the instruction whose result is the other choice: an FMA that
// writes 0 outside a mask.
type zeros struct {
	under   map[loop.Val]loop.Val // the condition of an FMA
	chosen  map[loop.Val]bool     // the choice, which is then the FMA's result
	inverse map[loop.Val]bool     // the condition, of which the mask is the opposite
}

// zeros finds them: neither the condition nor the FMA is used by anything else, and the condition is there before the FMA.
func (t target) zeros(k *loop.Kernel) zeros {
	z := zeros{map[loop.Val]loop.Val{}, map[loop.Val]bool{}, map[loop.Val]bool{}}
	if !t.wide {
		return z
	}
	uses := map[loop.Val]int{}
	for _, in := range k.Insts {
		for _, a := range in.Args {
			uses[a]++
		}
	}
	for v, in := range k.Insts {
		if in.Code != loop.Select || in.Elem != loop.F32 {
			continue
		}
		c, zero, x := in.Args[0], k.Insts[in.Args[1]], in.Args[2]
		if zero.Code == loop.Const && math.Float32bits(float32(zero.Imm)) == 0 && k.Insts[x].Code == loop.FMA && c < x && uses[c] == 1 && uses[x] == 1 &&
			inverses[k.Insts[c].Code] != "" {
			z.under[x], z.chosen[loop.Val(v)], z.inverse[c] = c, true, true
		}
	}
	return z
}

// zeroMask is the operand that makes an FMA write 0 where a choice is 0; none if there is no such choice.
func (e *rowEmitter) zeroMask(v loop.Val) []string {
	c, ok := e.zero.under[v]
	if !ok {
		return nil
	}
	return []string{fmt.Sprintf("K%d", e.regs[c])}
}
