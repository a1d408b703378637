package ptx

import (
	"fmt"
	"strings"

	"mmc/ir/loop"
	"mmc/runtime/cuda"
)

// The product for compute capability 9.0: wgmma with weights in shared memory and A in registers, both brought by the tensor memory
// accelerator (PTX ISA 9.7.9.27, cp.async.bulk.tensor, and 9.7.15, wgmma). A block of two warpgroups computes 128 x 128, each 64 x 128. A
// stage of k is in shared memory as rows of 128 bytes whose 16-byte parts are permuted by the row's number in eight (the 128-byte
// swizzle): 128 columns of weights, and 128 rows of A in f32, in one or two boxes of 32 values. Two barriers a stage say that it is full and,
// after a warp's last reading, empty; thread 0 fills it again one step later.

const (
	hopperStages = cuda.HopperStages
	boxLine      = cuda.HopperLine
	boxBytes     = cuda.WideSide * boxLine
	boxValues    = boxLine / 4 // of f32
	hopperSteps  = boxLine / stepBytes
)

// hopperSum is the accumulator's registers of a thread, of 64 x 128.
const hopperSum = cuda.WideSide / 8

type hopperGemm struct {
	tensorGemm
	wgmma        string
	boxes        int    // of A, a stage
	tiles, bars  string // shared addresses: stages, then a full and an empty barrier for each
	mapA, mapB   string
	leader       string // whether this is thread 0
	row, swizzle string // shared address of this thread's first row of A in stage 0, and its permutation
	firstLane    string
}

// hopperEntry prints the product as name with cuda.Hopper behind it; all weights are rounded ones.
func hopperEntry(name string, act *loop.Kernel, dtype string) string {
	name += cuda.Hopper
	t := tensorTypes[dtype]
	comment := fmt.Sprintf("%s computes C = A B + Bias + Res with operands in %s and sums in f32, 128 x 128 a block", name, dtype)
	if act != nil {
		comment += "; the sum goes through " + act.Name
	}
	tiles := name + "_tiles"
	return "// The tiles.\n.extern .shared .align 16 .b8 " + tiles + "[];\n\n" + entry(name, comment, cuda.HopperWords, threads, 0, func(a *asm) {
		a.align = 64 // as the maps are
		g := &hopperGemm{tensorGemm: tensorGemm{gemm: gemm{asm: a, act: act}, t: t}, boxes: t.perWord, wgmma: wgmmaName(dtype)}
		g.block(cuda.WideSide, cuda.WideSide, tiles)
		g.place()
		g.begin()
		g.product()
		rows, cols := g.places()
		g.finish(rows, cols, g.results())
		a.i("ret")
	})
}

func wgmmaName(dtype string) string {
	k := 8 * tensorTypes[dtype].perWord
	return fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s", cuda.WideSide, k, dtype, dtype)
}

func (g *hopperGemm) stage() int { return (g.boxes + 1) * boxBytes }

func (g *hopperGemm) place() {
	g.tiles = g.set("r", "and.b32", g.set("r", "add.u32", g.shared, "1023"), "0xfffffc00")
	g.bars = g.set("r", "add.u32", g.tiles, num(hopperStages*g.stage()))
	maps := g.set("l", "cvta.param.u64", g.set("l", "mov.u64", "args"))
	g.mapA = g.set("l", "add.s64", maps, num(8*cuda.HopperMapA))
	g.mapB = g.set("l", "add.s64", maps, num(8*cuda.HopperMapB))
	g.leader = g.set("p", "setp.eq.u32", g.tid, "0")
	warp, lane := g.set("r", "shr.u32", g.tid, "5"), g.set("r", "and.b32", g.tid, "31")
	g.firstLane = g.set("p", "setp.eq.u32", lane, "0")
	g.warpRow, g.warpCol = g.set("r", "shl.b32", warp, "4"), g.set("r", "mov.u32", "0")
	g.group, g.member = g.set("r", "shr.u32", lane, "2"), g.set("r", "and.b32", lane, "3")
	g.row = g.set("r", "mad.lo.u32", g.set("r", "add.u32", g.warpRow, g.group), num(boxLine), g.tiles)
	g.swizzle = g.set("r", "shl.b32", g.group, "4")
	line := make([][4]string, hopperSum)
	for j := range line {
		line[j] = g.zeros()
	}
	g.sums = [][][4]string{line}
}

// begin has thread 0 make the barriers and fill the first stages.
func (g *hopperGemm) begin() {
	ready := g.fresh("ready")
	g.i("@!%s bra %s", g.leader, ready)
	for s := range hopperStages {
		g.i("mbarrier.init.shared::cta.b64 [%s+%d], 1", g.bars, 16*s)
		g.i("mbarrier.init.shared::cta.b64 [%s+%d], %d", g.bars, 16*s+8, threads/32)
	}
	g.i("fence.mbarrier_init.release.cluster")
	for s := range hopperStages {
		k := g.set("r", "mov.u32", num(s*g.depth()))
		in := g.set("p", "setp.lt.u32", k, g.k)
		none := g.fresh("none")
		g.i("@!%s bra %s", in, none)
		g.fill(g.set("r", "add.u32", g.tiles, num(s*g.stage())), g.set("r", "add.u32", g.bars, num(16*s)), k)
		g.label(none)
	}
	g.label(ready)
	g.i("bar.sync 0")
}

// depth is how many operands along k a stage has.
func (g *hopperGemm) depth() int { return boxValues * g.t.perWord }

// fill brings step k into a stage.
func (g *hopperGemm) fill(stage, bar, k string) {
	g.i("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%s], %d", bar, g.stage())
	bring := func(to, from, x, y string) {
		g.i("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%s], [%s, {%s, %s}], [%s]", to, from, x, y, bar)
	}
	for b := range g.boxes {
		bring(g.set("r", "add.u32", stage, num(b*boxBytes)), g.mapA, g.set("r", "add.u32", k, num(b*boxValues)), g.m0)
	}
	bring(g.set("r", "add.u32", stage, num(g.boxes*boxBytes)), g.mapB, k, g.n0)
}

// wait waits until a barrier has been through the phase of a parity.
func (g *hopperGemm) wait(bar string, off int, parity string) {
	again := g.fresh("wait")
	g.label(again)
	done := g.reg("p")
	g.i("mbarrier.try_wait.parity.shared::cta.b64 %s, [%s+%d], %s", done, bar, off, parity)
	g.i("@!%s bra %s", done, again)
}

// product goes through the steps of k. slot counts stages and parity how often they have come round; last is the step before's.
func (g *hopperGemm) product() {
	slot, parity := g.set("r", "mov.u32", "0"), g.set("r", "mov.u32", "0")
	last, lastParity := g.set("r", "mov.u32", "0"), g.set("r", "mov.u32", "0")
	g.forStep("0", g.k, g.depth(), func(k0 string) {
		g.refill(k0, last, lastParity)
		bar, stage := g.set("r", "mad.lo.u32", slot, "16", g.bars), g.set("r", "mul.lo.u32", slot, num(g.stage()))
		g.wait(bar, 0, parity)
		g.i("bar.warp.sync 0xffffffff")
		g.multiply(stage)
		g.i("@%s mbarrier.arrive.shared::cta.b64 _, [%s+8]", g.firstLane, bar)
		g.i("mov.u32 %s, %s", last, slot)
		g.i("mov.u32 %s, %s", lastParity, parity)
		g.i("add.u32 %s, %s, 1", slot, slot)
		round := g.set("p", "setp.eq.u32", slot, num(hopperStages))
		g.i("selp.b32 %s, 0, %s, %s", slot, slot, round)
		g.i("@%s sub.u32 %s, 1, %s", round, parity, parity)
	})
}

// refill has thread 0 fill the stage of the step before k0 with the step that comes there next, once it is empty.
func (g *hopperGemm) refill(k0, last, lastParity string) {
	skip := g.fresh("filled")
	first := g.set("p", "setp.eq.u32", k0, "0")
	g.i("@%s bra %s", first, skip)
	k := g.set("r", "add.u32", k0, num((hopperStages-1)*g.depth()))
	more := g.set("p", "setp.lt.and.u32", k, g.k, g.leader)
	g.i("@!%s bra %s", more, skip)
	bar := g.set("r", "mad.lo.u32", last, "16", g.bars)
	g.wait(bar, 8, lastParity)
	g.fill(g.set("r", "mad.lo.u32", last, num(g.stage()), g.tiles), bar, k)
	g.label(skip)
}

// multiply adds a stage: its rows of A, rounded, are fragments in registers.
func (g *hopperGemm) multiply(stage string) {
	row := g.set("r", "add.u32", g.row, stage)
	var a [hopperSteps][]string
	for s := range a {
		a[s] = g.fragmentOfA(row, s)
	}
	// The matrix descriptor: address, 1,024 bytes from eight rows to the next, the swizzle; all in units of 16 bytes.
	at := g.set("r", "add.u32", g.set("r", "add.u32", g.tiles, stage), num(g.boxes*boxBytes))
	at = g.set("r", "shr.u32", g.set("r", "and.b32", at, "0x3ffff"), "4")
	desc := g.set("l", "add.s64", g.set("l", "cvt.u64.u32", at), "0x4000004000010000")
	var sums []string
	for _, s := range g.sums[0] {
		sums = append(sums, s[:]...)
	}
	tail := g.set("p", "setp.eq.u32", g.tid, g.tid) + ", 1, 1" // add to the sums, no signs changed
	if g.t.perWord == 2 {
		tail += ", 0" // nor is B transposed, as these types could be
	}
	g.i("wgmma.fence.sync.aligned")
	for s := range a {
		d := g.set("l", "add.s64", desc, num(s*stepBytes/16))
		g.i("%s {%s}, {%s}, %s, %s", g.wgmma, strings.Join(sums, ", "), strings.Join(a[s], ", "), d, tail)
	}
	g.i("wgmma.commit_group.sync.aligned")
	g.i("wgmma.wait_group.sync.aligned 0")
}

// fragmentOfA loads and rounds what one wgmma takes of this thread's rows, group and group+8.
func (g *hopperGemm) fragmentOfA(row string, step int) []string {
	var frag []string
	for _, word := range []int{0, 4} {
		byteAt := (8*step + word) * 4 * g.t.perWord // of member 0's values, along the rows of all boxes
		box, in := byteAt/boxLine, byteAt%boxLine
		off := g.set("r", "xor.b32", g.set("r", "mad.lo.u32", g.member, num(4*g.t.perWord), num(in)), g.swizzle)
		at := g.set("r", "add.u32", row, off)
		for _, down := range []int{0, 8} {
			v := make([]string, g.t.perWord)
			for i := range v {
				v[i] = g.reg("f")
			}
			place := fmt.Sprintf("[%s+%d]", at, box*boxBytes+down*boxLine)
			if g.t.perWord == 2 {
				g.i("ld.shared.v2.f32 {%s}, %s", strings.Join(v, ", "), place)
			} else {
				g.i("ld.shared.f32 %s, %s", v[0], place)
			}
			frag = append(frag, g.words(g.t, v)...)
		}
	}
	return frag
}
