package amd64

import "mmc/ir/loop"

var reduceOp = map[loop.Code]string{loop.SumLanes: "VADDPS", loop.DotLanes: "VADDPS", loop.MaxLanes: "VMAXPS", loop.MinLanes: "VMINPS",
	loop.ProdLanes: "VMULPS"}

// startReduction sets the lanes to the neutral element.
func (e *rowEmitter) startReduction(v loop.Val) {
	var regs [2]int
	halves := 2
	if e.t.wide {
		halves = 1
	}
	bits := map[loop.Code]uint32{loop.MaxLanes: 0xff800000, loop.MinLanes: 0x7f800000, loop.ProdLanes: 0x3f800000}[e.k.Insts[v].Code]
	for h := range halves {
		regs[h] = e.take()
		r := e.vec(regs[h])
		if bits == 0 {
			e.i(e.bitwise("XOR"), r, r, r)
		} else {
			e.load(bits, r)
		}
	}
	e.acc[v] = regs
}

// accumulate adds the current lanes to a reduction; in a tail, only the valid ones.
func (e *rowEmitter) accumulate(v loop.Val) {
	in := &e.k.Insts[v]
	acc := e.vec(e.acc[v][e.half])
	x, t1 := e.reg(in.Args[0])
	if e.tail && !e.t.wide {
		e.accumulateTail(in, acc, x)
		e.drop(t1)
		return
	}
	mask := []string{}
	if e.tail {
		mask = append(mask, "K1")
	}
	if in.Code == loop.DotLanes {
		y, t2 := e.reg(in.Args[1])
		e.i("VFMADD231PS", append([]string{y, x}, append(mask, acc)...)...)
		e.drop(t2)
	} else {
		e.i(reduceOp[in.Code], append([]string{acc, x}, append(mask, acc)...)...)
	}
	e.drop(t1)
}

func (e *rowEmitter) accumulateTail(in *loop.Inst, acc, x string) {
	tmp := e.take()
	t := e.vec(tmp)
	if in.Code == loop.DotLanes {
		y, t2 := e.reg(in.Args[1])
		e.i("VMOVAPS", acc, t)
		e.i("VFMADD231PS", y, x, t)
		e.drop(t2)
	} else {
		e.i(reduceOp[in.Code], acc, x, t)
	}
	e.i("VBLENDVPS", "Y15", t, acc, acc)
	e.drop(tmp)
}

// tree combines the sixteen lanes by the fixed tree 8, 4, 2, 1 and spreads the result over all lanes.
func (e *rowEmitter) tree(v loop.Val) {
	op := reduceOp[e.k.Insts[v].Code]
	regs := e.acc[v]
	lo := e.vec(regs[0])
	tmp := e.take()
	t := e.vec(tmp)
	if e.t.wide {
		e.i("VEXTRACTF64X4", "$1", lo, ymm(t))
		e.i(op, ymm(t), ymm(lo), ymm(lo))
	} else {
		e.i(op, e.vec(regs[1]), lo, lo)
		e.give(regs[1])
	}
	if e.t.wide {
		e.i("VEXTRACTF32X4", "$1", ymm(lo), xmm(t))
	} else {
		e.i("VEXTRACTF128", "$1", ymm(lo), xmm(t))
	}
	e.i(op, xmm(t), xmm(lo), xmm(lo))
	for _, sel := range []string{"$0x0e", "$0x01"} {
		e.i("VPERMILPS", sel, xmm(lo), xmm(t))
		e.i(op, xmm(t), xmm(lo), xmm(lo))
	}
	e.i("VBROADCASTSS", xmm(lo), lo)
	e.give(tmp)
	e.regs[v] = regs[0]
	delete(e.acc, v)
	if _, used := e.last[v]; !used {
		e.release(v)
	}
}
