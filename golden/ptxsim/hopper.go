package ptxsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What compute capability 9.0 adds: barriers in shared memory that count bytes, boxes brought by the tensor memory accelerator, and
// products of a warpgroup.

// mbarrier is a barrier in shared memory: in a phase it awaits arrivals and bytes.
type mbarrier struct {
	count, pending, bytes int
	phase                 uint64
	boxes                 []box // not yet brought
}

// box is a copy that has been started.
type box struct {
	m      [7]uint64 // address, rows, columns, bytes between rows, of an element; columns and rows of a box
	to     uint64
	x0, y0 uint64
}

// genericParam marks generic addresses of parameters.
const genericParam = 1 << 62

// hopper decodes mbarrier.*, cp.async.bulk.tensor.2d and wgmma.*.
func (e *entry) hopper(in *instr, op string, args []string) error {
	switch op {
	case "fence.mbarrier_init.release.cluster", "wgmma.fence.sync.aligned", "wgmma.commit_group.sync.aligned", "wgmma.wait_group.sync.aligned":
		in.run = func(*thread) error { return nil }
		return nil
	case "mbarrier.init.shared::cta.b64":
		at, n := e.address(args[0]), e.reg(args[1])
		in.run = func(t *thread) error {
			count := int(t.regs[n])
			t.block.bars[at(t)] = &mbarrier{count: count, pending: count}
			return nil
		}
		return nil
	case "mbarrier.arrive.expect_tx.shared::cta.b64", "mbarrier.arrive.shared::cta.b64":
		at, n := e.address(args[1]), e.reg("0")
		if len(args) == 3 {
			n = e.reg(args[2])
		}
		in.run = func(t *thread) error { return t.block.arrive(at(t), int(t.regs[n])) }
		return nil
	case "mbarrier.try_wait.parity.shared::cta.b64":
		at, done, parity := e.address(args[1]), e.reg(args[0]), e.reg(args[2])
		in.kind, in.regs = await, []int{done}
		in.run = func(t *thread) error {
			ok, err := t.block.through(at(t), t.regs[parity])
			t.regs[done] = truth(ok)
			return err
		}
		return nil
	case "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes":
		return e.bring(in, args)
	}
	return e.groupProduct(in, op, args)
}

// address reads an operand [register] or [register+offset].
func (e *entry) address(s string) func(t *thread) uint64 {
	sub := memory.FindStringSubmatch(s)
	if sub == nil {
		return func(*thread) uint64 { return 1<<64 - 1 }
	}
	base := e.reg(sub[1])
	off, _ := strconv.Atoi(sub[2])
	return func(t *thread) uint64 { return t.regs[base] + uint64(off) }
}

var errBarrier = errors.New("no such barrier")

func (b *block) arrive(at uint64, bytes int) error {
	m := b.bars[at]
	if m == nil {
		return errBarrier
	}
	m.pending--
	m.bytes += bytes
	m.turn()
	return nil
}

func (m *mbarrier) turn() {
	if m.pending == 0 && m.bytes == 0 {
		m.pending, m.phase = m.count, m.phase+1
	}
}

// through reports whether the phase of a parity is over. What the barrier waits for comes only now, if not at once.
func (b *block) through(at, parity uint64) (bool, error) {
	m := b.bars[at]
	if m == nil {
		return false, errBarrier
	}
	err := b.arrived(m)
	return m.phase&1 != parity, err
}

// arrived brings the boxes that a barrier waits for.
func (b *block) arrived(m *mbarrier) error {
	for _, x := range m.boxes {
		if err := b.copyBox(x); err != nil {
			return err
		}
		m.bytes -= int(x.m[4] * x.m[5] * x.m[6])
	}
	if m.boxes != nil {
		m.boxes = nil
		m.turn()
	}
	return nil
}

// bring decodes [to], [map, {x, y}], [barrier].
func (e *entry) bring(in *instr, args []string) error {
	from, place, _ := strings.Cut(strings.Trim(args[1], "[]"), ", ")
	xy := operands(strings.Trim(place, "{}"))
	if len(args) != 3 || len(xy) != 2 {
		return errUnknown
	}
	to, bar, desc, x, y := e.address(args[0]), e.address(args[2]), e.reg(from), e.reg(xy[0]), e.reg(xy[1])
	in.run = func(t *thread) error {
		m := t.block.bars[bar(t)]
		at := t.regs[desc] - genericParam
		if m == nil || at%64 != 0 || at+128 > uint64(len(t.block.params)) || to(t)%1024 != 0 {
			return fmt.Errorf("map at %d, box to %d", at, to(t))
		}
		c := box{to: to(t), x0: t.regs[x], y0: t.regs[y]}
		for i := range c.m {
			c.m[i] = binary.LittleEndian.Uint64(t.block.params[at+uint64(8*i):])
		}
		m.boxes = append(m.boxes, c)
		if t.block.m.early {
			return t.block.arrived(m)
		}
		return nil
	}
	return nil
}

// copyBox fills rows of 128 bytes in the 128-byte swizzle; what lies outside the matrix is 0.
func (b *block) copyBox(x box) error {
	p, rows, cols, step, size, width, height := x.m[0], x.m[1], x.m[2], x.m[3], x.m[4], x.m[5], x.m[6]
	t := &thread{block: b}
	for r := range height {
		for c := range width {
			to, err := t.memory("shared", swizzled(x.to+r*width*size+c*size), int(size), false)
			if err != nil {
				return err
			}
			clear(to[:size])
			if x.y0+r >= rows || x.x0+c >= cols {
				continue
			}
			from, err := t.global(p+(x.y0+r)*step+(x.x0+c)*size, int(size))
			if err != nil {
				return err
			}
			copy(to, from[:size])
		}
	}
	return nil
}

// swizzled permutes the 16-byte parts of each line of 128 bytes by its number in eight.
func swizzled(at uint64) uint64 { return at ^ at>>7&7<<4 }

// groupProduct decodes wgmma of 64 x 128 with A in registers: regs holds 64 sums, four words of A and B's descriptor.
func (e *entry) groupProduct(in *instr, op string, args []string) error {
	var dtype string
	for _, d := range []string{"bf16", "f16", "tf32"} {
		if strings.HasSuffix(op, ".f32."+d+"."+d) {
			dtype = d
		}
	}
	want := map[string]string{"bf16": "k16", "f16": "k16", "tf32": "k8"}[dtype]
	if !strings.HasPrefix(op, "wgmma.mma_async.sync.aligned.m64n128"+want+".f32.") || len(args) < 6 || args[4] != "1" || args[5] != "1" {
		return errUnknown
	}
	in.kind, in.mode = grouped, "mma.sync.aligned.m16n8"+want+".row.col.f32."+dtype+"."+dtype+".f32"
	for _, list := range args[:3] {
		for _, r := range operands(strings.Trim(list, "{}")) {
			in.regs = append(in.regs, e.reg(r))
		}
	}
	if len(in.regs) != 69 || operandTypes[in.mode] == nil {
		return errUnknown
	}
	return nil
}

// multiplyGroup is wgmma: warp w of the group has rows 16w … 16w+15, in the fragments of mma.sync, and all have the columns of B.
func multiplyGroup(group []thread, in *instr) error {
	values := operandTypes[in.mode]
	desc := group[0].regs[in.regs[68]]
	if desc>>62 != 1 || desc>>32&0x3fff != 1024/16 {
		return fmt.Errorf("%q: descriptor %#x", in.text, desc)
	}
	start := desc & 0x3fff << 4
	var b [128][8][]float64
	for n := range b {
		for w := range b[n] {
			p, err := group[0].memory("shared", swizzled(start+uint64(n/8*1024+n%8*128+w*4)), 4, true)
			if err != nil {
				return fmt.Errorf("%q: %w", in.text, err)
			}
			b[n][w] = values(read(p, 4, false))
		}
	}
	for w := 0; w < len(group); w += 32 {
		var a [16][8][]float64
		for i := range 32 {
			g, m, r := i/4, i%4, group[w+i].regs
			a[g][m], a[g+8][m] = values(r[in.regs[64]]), values(r[in.regs[65]])
			a[g][m+4], a[g+8][m+4] = values(r[in.regs[66]]), values(r[in.regs[67]])
		}
		for i := range 32 {
			g, m, t := i/4, i%4, &group[w+i]
			for k := range 64 {
				row, col := g+k/2%2*8, k/4*8+2*m+k%2
				sum := float64(f32(t.regs[in.regs[k]]))
				for word := range 8 {
					for h := range a[row][word] {
						sum += float64(a[row][word][h] * b[col][word][h])
					}
				}
				t.regs[in.regs[k]] = bits32(float32(sum))
			}
			t.pc, t.state = t.pc+1, ready
		}
	}
	return nil
}
