package ptxsim

import (
	"fmt"
	"strconv"
	"strings"
)

// copying is a cp.async that has not been waited for: bytes beyond size are zeros (PTX ISA, cp.async).
type copying struct {
	to, from uint64
	n, size  int
}

// async decodes cp.async and what commits and waits for groups of them. A copy is done when its thread waits for it or, in early launches,
// at once.
func (e *entry) async(in *instr, op string, args []string) error {
	switch op {
	case "cp.async.commit_group":
		in.run = func(t *thread) error { t.groups, t.open = append(t.groups, t.open), nil; return nil }
		return nil
	case "cp.async.wait_group":
		most, err := strconv.Atoi(args[0])
		in.run = func(t *thread) error { return t.waitFor(most) }
		return err
	case "cp.async.cg.shared.global":
	default:
		return errUnknown
	}
	to, from, n := memory.FindStringSubmatch(args[0]), memory.FindStringSubmatch(args[1]), 16
	if to == nil || from == nil || len(args) != 4 || args[2] != "16" {
		return errUnknown
	}
	toReg, fromReg, size := e.reg(to[1]), e.reg(from[1]), e.reg(args[3])
	toOff, _ := strconv.Atoi(to[2])
	fromOff, _ := strconv.Atoi(from[2])
	in.run = func(t *thread) error {
		c := copying{t.regs[toReg] + uint64(toOff), t.regs[fromReg] + uint64(fromOff), n, int(t.regs[size])}
		if c.size > n || c.from%uint64(n) != 0 {
			return fmt.Errorf("%d bytes from %#x", c.size, c.from)
		}
		if t.block.m.early {
			return t.copy(c)
		}
		t.open = append(t.open, c)
		return nil
	}
	return nil
}

// waitFor does the copies of all groups but the latest most.
func (t *thread) waitFor(most int) error {
	for len(t.groups) > most {
		for _, c := range t.groups[0] {
			if err := t.copy(c); err != nil {
				return err
			}
		}
		t.groups = t.groups[1:]
	}
	return nil
}

func (t *thread) copy(c copying) error {
	to, err := t.memory("shared", c.to, c.n, false)
	if err != nil {
		return err
	}
	clear(to[:c.n])
	if c.size == 0 {
		return nil
	}
	from, err := t.global(c.from, c.n)
	if err != nil {
		return err
	}
	copy(to, from[:c.size])
	return nil
}

const ldmatrix = "ldmatrix.sync.aligned.m8n8.x4.shared.b16"

// matrices decodes ldmatrix of four matrices: regs holds four results, an address and an offset.
func (e *entry) matrices(in *instr, op string, args []string) error {
	at := memory.FindStringSubmatch(args[1])
	if op != ldmatrix || at == nil {
		return errUnknown
	}
	in.kind, in.mode = shuffle, op
	for _, r := range operands(strings.Trim(args[0], "{}")) {
		in.regs = append(in.regs, e.reg(r))
	}
	if len(in.regs) != 4 {
		return errUnknown
	}
	in.regs = append(in.regs, e.reg(at[1]), e.reg("0"+at[2]))
	return nil
}

// loadMatrices is ldmatrix of a warp: lanes 8i … 8i+7 give the rows of matrix i, of 16 bytes each; lane 4r+c gets word c of row r of each.
func loadMatrices(warp []thread, in *instr) error {
	var rows [32][]byte
	for i := range warp {
		t := &warp[i]
		p, err := t.memory("shared", t.regs[in.regs[4]]+t.regs[in.regs[5]], 16, true)
		if err != nil {
			return fmt.Errorf("%q: %w", in.text, err)
		}
		rows[i] = p
	}
	for i := range warp {
		t := &warp[i]
		for m := range 4 {
			t.regs[in.regs[m]] = read(rows[8*m+i/4][i%4*4:], 4, false)
		}
		t.pc, t.state = t.pc+1, ready
	}
	return nil
}
