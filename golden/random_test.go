package golden

import (
	"fmt"
	"math"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"testing"

	"mmc/driver"
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
	"mmc/passes"
	"mmc/runtime"
)

// grower makes a random valid graph, node by node.
type grower struct {
	rng  *rand.Rand
	g    *ir.Graph
	vals []*ir.Value
}

// randomGraph has one or two inputs of the sizes s0 and small constants, and about size nodes; what nobody reads is an output.
func randomGraph(seed int64, size int) *ir.Graph {
	r := &grower{rng: rand.New(rand.NewSource(seed)), g: &ir.Graph{Hints: map[string]string{}}}
	for i := range 1 + r.rng.Intn(2) {
		shape := []sym.Dim{sym.Sym("s0")}
		for range 1 + r.rng.Intn(3) {
			shape = append(shape, sym.Const(int64(1+r.rng.Intn(9))))
		}
		v := &ir.Value{Name: fmt.Sprintf("x%d", i), Elem: loop.F32, Shape: shape}
		r.g.Inputs, r.vals = append(r.g.Inputs, v), append(r.vals, v)
	}
	for tries := 0; len(r.g.Nodes) < size && tries < 20*size; tries++ {
		r.grow()
	}
	read := map[*ir.Value]bool{}
	for _, n := range r.g.Nodes {
		for _, v := range n.In {
			read[v] = true
		}
	}
	for _, n := range r.g.Nodes {
		for _, v := range n.Out {
			if !read[v] && len(r.g.Outputs) < 4 {
				r.g.Outputs, r.g.OutNames = append(r.g.Outputs, v), append(r.g.OutNames, fmt.Sprintf("y%d", len(r.g.Outputs)))
			}
		}
	}
	return r.g
}

func (r *grower) pick() *ir.Value {
	if r.rng.Intn(2) == 0 { // prefer what is new: chains are what passes look at
		return r.vals[len(r.vals)-1]
	}
	return r.vals[r.rng.Intn(len(r.vals))]
}

func (r *grower) constant(shape ...int64) *ir.Value {
	t := ir.NewTensor(loop.F32, shape...)
	ir.FillRandom(t, uint64(r.rng.Int63()), 1)
	return ir.ConstValue("", t)
}

// add puts a node into the graph if it infers, of operands that are all there; only attention may go without one, its mask, and
// products of bytes without what is added to them.
func (r *grower) add(o *ir.Op, attr any, in ...*ir.Value) *ir.Value {
	if slices.Contains(in, nil) && o != op.Attention && (o != op.ByteLinear && o != op.ByteMatMul || in[0] == nil) {
		return nil
	}
	n, err := ir.NewNode(o, attr, []string{fmt.Sprintf("n%d", len(r.g.Nodes))}, in...)
	if err != nil {
		return nil
	}
	if lo, hi := sym.Product(n.Out[0].Shape).Bounds(); lo < 0 || hi == 0 {
		return nil
	}
	if n, ok := sym.Product(n.Out[0].Shape).Div(sym.Sym("s0")); ok {
		if c, known := n.Const(); known && c > 2000 {
			return nil
		}
	}
	r.g.Nodes = append(r.g.Nodes, n)
	for _, v := range n.Out {
		if v.Elem == loop.F32 {
			r.vals = append(r.vals, v)
		}
	}
	return n.Out[0]
}

var unaries = []*ir.Op{op.Neg, op.Abs, op.Relu, op.Sigmoid, op.Tanh, op.Erf, op.HardSwish, op.Floor, op.Sign}
var binaries = []*ir.Op{op.Add, op.Sub, op.Mul, op.Max, op.Min}

func (r *grower) grow() {
	x := r.pick()
	rank := len(x.Shape)
	last := ir.ConstShape(x.Shape)[max(rank-1, 0)]
	switch r.rng.Intn(19) {
	case 0, 1:
		r.add(unaries[r.rng.Intn(len(unaries))], nil, x)
	case 2:
		r.add(binaries[r.rng.Intn(len(binaries))], nil, x, r.pick())
	case 3:
		r.add(binaries[r.rng.Intn(len(binaries))], nil, r.shuffle(x, r.constant())...)
	case 4:
		if rank > 0 && last > 0 {
			r.add(binaries[r.rng.Intn(len(binaries))], nil, r.shuffle(x, r.constant(last))...)
		}
	case 5:
		if rank > 1 && last > 0 {
			r.add(op.MatMul, nil, x, r.constant(last, int64(1+r.rng.Intn(20))))
		}
	case 6:
		perm := make([]int64, rank)
		for i, p := range r.rng.Perm(rank) {
			perm[i] = int64(p)
		}
		r.add(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(perm...)}, x)
	case 7:
		r.reshape(x)
	case 8:
		if rank > 0 && last > 0 {
			r.add(op.Softmax, nil, x)
			r.add(op.LayerNorm, op.NormAttr{Eps: 1e-3, RMS: r.rng.Intn(2) == 0}, x, r.constant(last))
		}
	case 9:
		if rank > 1 {
			r.add(op.Reduce, op.ReduceAttr{Kind: []string{"sum", "mean", "max", "min", "sumsq"}[r.rng.Intn(5)]}, x)
		}
	case 10:
		if rank > 0 {
			r.add(op.Concat, op.ConcatAttr{Axis: int64(r.rng.Intn(rank))}, x, r.pick())
		}
	case 11:
		r.slice(x)
	case 12:
		r.add(op.MatMul, nil, x, r.pick())
	case 13:
		r.rotate(x)
	case 14:
		r.layers(x)
	case 15:
		r.blocks(x)
	case 16:
		r.joined(x)
	case 17:
		r.attention(x)
	case 18:
		r.quantised(x)
	}
}

// part is some entries of one axis.
func (r *grower) part(x *ir.Value, axis int, from, size, step int64) *ir.Value {
	starts, sizes, steps := make([]sym.Dim, len(x.Shape)), append([]sym.Dim{}, x.Shape...), make([]int64, len(x.Shape))
	for i := range steps {
		steps[i] = 1
	}
	starts[axis], sizes[axis], steps[axis] = sym.Const(from), sym.Const(size), step
	return r.add(op.Slice, op.SliceAttr{Starts: ir.MakeDims(starts), Sizes: ir.MakeDims(sizes), Steps: ir.MakeInts(steps...)}, x)
}

// size is the constant size of an axis that a factor divides, or 0.
func size(x *ir.Value, axis int, factor int64) int64 {
	if axis < 0 {
		return 0
	}
	if n, ok := x.Shape[axis].Const(); ok && n%factor == 0 {
		return n
	}
	return 0
}

// rotate is a rotary embedding of x, perhaps put behind something.
func (r *grower) rotate(x *ir.Value) {
	last := len(x.Shape) - 1
	n := size(x, last, 2)
	if n == 0 || last < 1 {
		return
	}
	first, second := r.part(x, last, 0, n/2, 1), r.part(x, last, n/2, n/2, 1)
	turned := r.add(op.Concat, op.ConcatAttr{Axis: int64(last)}, r.add(op.Neg, nil, second), first)
	y := r.add(op.Add, nil, r.shuffle(r.add(op.Mul, nil, x, r.constant(n)), r.add(op.Mul, nil, turned, r.constant(n)))...)
	if r.rng.Intn(2) == 0 {
		r.add(op.Concat, op.ConcatAttr{Axis: int64(r.rng.Intn(last + 1))}, r.shuffle(y, r.pick())...)
	}
}

// layers are products of one value, multiplied or added to each other as they are or with an activation.
func (r *grower) layers(x *ir.Value) {
	depth := size(x, len(x.Shape)-1, 1)
	if len(x.Shape) < 2 || depth == 0 {
		return
	}
	n := int64(1 + r.rng.Intn(20))
	a, b := r.add(op.MatMul, nil, x, r.constant(depth, n)), r.add(op.MatMul, nil, x, r.constant(depth, n))
	if a == nil || b == nil {
		return
	}
	if r.rng.Intn(2) == 0 {
		a = r.add(op.Sigmoid, nil, a)
	}
	r.add([]*ir.Op{op.Mul, op.Add}[r.rng.Intn(2)], nil, r.shuffle(a, b)...)
}

// quantised is a product of x, made whole and then bytes, with bytes; perhaps of the windows of a line.
func (r *grower) quantised(x *ir.Value) {
	depth, lo := size(x, len(x.Shape)-1, 1), -128*r.rng.Intn(2)
	if len(x.Shape) < 2 || depth == 0 {
		return
	}
	y := r.add(op.Round, nil, r.add(op.Mul, nil, x, ir.Scalar(loop.F32, 20)))
	if y = r.add(op.Clamp, op.ClampAttr{Lo: float32(lo), Hi: float32(lo + 255)}, y); y == nil {
		return
	}
	y = r.add(op.Cast, op.CastAttr{To: loop.F32}, r.add(op.Cast, op.CastAttr{To: []loop.Elem{loop.U8, loop.I8}[-lo/128]}, y))
	if y != nil && r.rng.Intn(3) == 0 { // rows against each other
		perm := make([]int64, len(y.Shape))
		for i := range perm {
			perm[i] = int64(i)
		}
		last := len(perm) - 1
		perm[last-1], perm[last] = int64(last), int64(last-1)
		t := r.add(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(perm...)}, y)
		n := r.add(op.ByteMatMul, op.ByteMatMulAttr{LoA: int64(lo), LoB: int64(lo), I32: r.rng.Intn(2) == 0}, y, t, nil, nil)
		r.add(op.Mul, nil, r.add(op.Cast, op.CastAttr{To: loop.F32}, n), ir.Scalar(loop.F32, 1e-3))
		return
	}
	if len(x.Shape) == 3 && r.rng.Intn(2) == 0 {
		y = r.add(op.Patches, op.Im2ColAttr{Kernel: ir.MakeInts(2), Strides: ir.MakeInts(1), Dilations: ir.MakeInts(1), Pads: ir.MakeInts(1, 0)}, y)
		depth *= 2
	}
	w := ir.NewTensor(loop.I8, depth, int64(1+r.rng.Intn(40)))
	for i := range ir.Slice[int8](w) {
		ir.Slice[int8](w)[i] = int8(r.rng.Intn(256) - 128)
	}
	n := r.add(op.ByteLinear, op.ByteLinearAttr{Lo: int64(lo), I32: r.rng.Intn(2) == 0}, y, ir.ConstValue("", w), nil, nil, nil)
	if n != nil && n.Elem == loop.I32 {
		n = r.add(op.Cast, op.CastAttr{To: loop.F32}, n)
	}
	r.add(op.Mul, nil, n, ir.Scalar(loop.F32, 1e-3))
}

// blocks puts every second or third entry of an axis next to each other, along another one.
func (r *grower) blocks(x *ir.Value) {
	if len(x.Shape) < 2 {
		return
	}
	p := r.rng.Perm(len(x.Shape))
	axis, step := p[0], int64(2+r.rng.Intn(2))
	n := size(x, axis, step)
	if n == 0 {
		return
	}
	var list []*ir.Value
	for i := range step {
		list = append(list, r.part(x, axis, i, n/step, step))
	}
	y := r.add(op.Concat, op.ConcatAttr{Axis: int64(p[1])}, list...)
	if y != nil && size(y, len(y.Shape)-1, 1) > 0 && r.rng.Intn(2) == 0 {
		r.add(op.LayerNorm, op.NormAttr{Eps: 1e-1}, y, r.constant(size(y, len(y.Shape)-1, 1)))
	}
}

// joined is something computed of a concatenation.
func (r *grower) joined(x *ir.Value) {
	if len(x.Shape) == 0 {
		return
	}
	y := r.add(op.Concat, op.ConcatAttr{Axis: int64(r.rng.Intn(len(x.Shape)))}, r.shuffle(x, r.pick())...)
	if y == nil {
		return
	}
	if n := size(y, len(y.Shape)-1, 1); n > 0 {
		y = r.add(op.Add, nil, y, r.constant(n))
	}
	r.add(unaries[r.rng.Intn(len(unaries))], nil, y)
}

// attention is one of four heads of queries, in groups that share keys and values.
func (r *grower) attention(x *ir.Value) {
	if len(x.Shape) != 3 || size(x, 2, 1) == 0 {
		return
	}
	const d = 3
	group := int64(1 << r.rng.Intn(3))
	heads := func(count int64) *ir.Value {
		y := r.add(op.MatMul, nil, x, r.constant(size(x, 2, 1), count*d))
		if y == nil {
			return nil
		}
		y = r.add(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{x.Shape[0], x.Shape[1], sym.Const(count), sym.Const(d)})}, y)
		y = r.add(op.Transpose, op.TransposeAttr{Perm: ir.MakeInts(0, 2, 1, 3)}, y)
		if count == 4 || y == nil {
			return y
		}
		one := append(append([]sym.Dim{}, y.Shape[:2]...), sym.Const(1), y.Shape[2], y.Shape[3])
		many := append([]sym.Dim{}, one...)
		many[2] = sym.Const(group)
		y = r.add(op.Expand, op.ExpandAttr{To: ir.MakeDims(many)}, r.add(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(one)}, y))
		return r.add(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{x.Shape[0], sym.Const(4), x.Shape[1], sym.Const(d)})}, y)
	}
	if q, k, v := heads(4), heads(4/group), heads(4/group); q != nil && k != nil && v != nil {
		r.add(op.Attention, op.AttentionAttr{Scale: 0.5}, q, k, v, nil)
	}
}

func (r *grower) shuffle(a, b *ir.Value) []*ir.Value {
	if r.rng.Intn(2) == 0 {
		return []*ir.Value{b, a}
	}
	return []*ir.Value{a, b}
}

// reshape merges two neighbouring axes or splits one.
func (r *grower) reshape(x *ir.Value) {
	rank := len(x.Shape)
	if rank < 2 {
		return
	}
	a := r.rng.Intn(rank - 1)
	to := append([]sym.Dim{}, x.Shape[:a]...)
	if r.rng.Intn(2) == 0 {
		to = append(append(to, x.Shape[a].Mul(x.Shape[a+1])), x.Shape[a+2:]...)
	} else {
		half, ok := x.Shape[a+1].Div(sym.Const(2))
		if !ok || rank > 4 {
			return
		}
		to = append(append(to, x.Shape[a], half, sym.Const(2)), x.Shape[a+2:]...)
	}
	r.add(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(to)}, x)
}

func (r *grower) slice(x *ir.Value) {
	starts, sizes, steps := make([]sym.Dim, len(x.Shape)), append([]sym.Dim{}, x.Shape...), make([]int64, len(x.Shape))
	for i, d := range x.Shape {
		steps[i] = 1
		n, ok := d.Const()
		if !ok || n < 2 || r.rng.Intn(2) == 0 {
			continue
		}
		from := r.rng.Int63n(n)
		starts[i], sizes[i] = sym.Const(from), sym.Const(1+r.rng.Int63n(n-from))
	}
	r.add(op.Slice, op.SliceAttr{Starts: ir.MakeDims(starts), Sizes: ir.MakeDims(sizes), Steps: ir.MakeInts(steps...)}, x)
}

// TestRandomGraphs makes graphs (MMC_RANDOM of them, 120 by default) on which the passes must keep the meaning, and every flavour must
// give the bits of the reference evaluator.
func TestRandomGraphs(t *testing.T) {
	count := 120
	if n, err := strconv.Atoi(os.Getenv("MMC_RANDOM")); err == nil {
		count = n
	}
	const batch = 120
	for at := 0; at < count; at += batch {
		var graphs []*ir.Graph
		var compiled []*driver.Compiled
		for seed := at; seed < min(at+batch, count); seed++ {
			g := checkPasses(t, int64(seed))
			if g == nil {
				continue
			}
			c, err := driver.FromGraph(g, driver.Options{Targets: everything()})
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, g)
			}
			graphs, compiled = append(graphs, g), append(compiled, c)
		}
		s := suite(t, compiled)
		for i, g := range graphs {
			checkOp(t, s, i, fmt.Sprintf("random graph %d after the passes:\n%s", at+i, g), g, (at+i)%3)
		}
	}
}

// checkPasses compares a graph with itself after the passes and gives the latter; nil if it has no outputs.
func checkPasses(t *testing.T, seed int64) *ir.Graph {
	t.Helper()
	before, after := randomGraph(seed, 4+int(seed%17)), randomGraph(seed, 4+int(seed%17))
	if len(before.Outputs) == 0 {
		return nil
	}
	if _, err := passes.Run(after, passes.Pipeline, passes.Options{Verify: true}); err != nil {
		t.Errorf("seed %d: %v\n%s", seed, err, before)
		return nil
	}
	var in []*ir.Tensor
	for k, v := range before.Inputs {
		shape, err := ir.EvalShape(v.Shape, sym.Binding{"s0": 1 + seed%4})
		if err != nil {
			t.Fatal(err)
		}
		x := ir.NewTensor(v.Elem, shape...)
		ir.FillRandom(x, uint64(seed*7+int64(k)), 2)
		in = append(in, x)
	}
	want, err := before.Eval(in...)
	if err != nil {
		t.Errorf("seed %d: %v\n%s", seed, err, before)
		return nil
	}
	got, err := after.Eval(in...)
	if err != nil {
		t.Errorf("seed %d after the passes: %v\n%s", seed, err, after)
		return nil
	}
	for i := range want {
		// Sums in another order move a result by as much as its terms are large.
		c := rt.Compare(rtValue(got[i]), rtValue(want[i]), 1e-4*scaleOf(want[i]), 1e-4)
		if !c.Pass && steady(before) {
			t.Errorf("seed %d output %d: %s\nbefore\n%s\nafter\n%s", seed, i, c.Why, before, after)
		}
	}
	return after
}

// steady reports that no operator jumps, where a rounding more or less would.
func steady(g *ir.Graph) bool {
	for _, n := range g.Nodes {
		if n.Op == op.Floor || n.Op == op.Sign || n.Op == op.LayerNorm {
			return false
		}
	}
	return true
}

func scaleOf(t *ir.Tensor) float64 {
	most := 1.0
	for i := range t.Len() {
		if x := math.Abs(t.At(i).F); !math.IsInf(x, 0) {
			most = max(most, x)
		}
	}
	return most
}
