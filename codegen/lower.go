package codegen

import (
	"fmt"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
	"mmc/runtime"
)

// lowering is a graph on its way to a plan.
type lowering struct {
	p       *Plan
	g       *ir.Graph
	views   map[*ir.Value]view
	users   map[*ir.Value][]*ir.Node
	outputs map[*ir.Value]bool
	kernels map[string]int
	consts  map[constKey]int
	within  map[*ir.Node]bool     // elementwise nodes that are computed inside their only reader
	newRows map[*ir.Value]newRows // of caches, until the attention that reads them puts them there
	node    *ir.Node
}

type constKey struct {
	data  *byte
	shape string
	pack  Packing
}

// Lower makes the plan of an optimised graph.
func Lower(g *ir.Graph) (p *Plan, err error) {
	l := &lowering{p: &Plan{Graph: g}, g: g, views: map[*ir.Value]view{}, users: map[*ir.Value][]*ir.Node{},
		outputs: map[*ir.Value]bool{}, kernels: map[string]int{}, consts: map[constKey]int{}, newRows: map[*ir.Value]newRows{}, within: map[*ir.Node]bool{}}
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("internal error while planning %v: %v", l.node.From, r)
		}
	}()
	l.prepare()
	if err := l.lowerNodes(); err != nil {
		return nil, err
	}
	for _, v := range g.Outputs {
		l.p.Outputs = append(l.p.Outputs, l.output(v))
	}
	l.p.assignSlots()
	l.p.layOutWeights()
	l.p.findRepeats()
	return l.p, nil
}

// lowerNodes makes the calls of the graph that is being lowered.
func (l *lowering) lowerNodes() error {
	l.joinElementwise()
	for _, n := range l.g.Nodes {
		l.node = n
		if _, scales := l.inLinear(n); isMove(n) || l.inlined(n) || l.inConv(n) || scales || l.inDepthwise(n) || l.inLayers(n) {
			continue
		}
		if err := l.lower(n); err != nil {
			return err
		}
	}
	return nil
}

func (l *lowering) prepare() {
	seen := map[string]bool{}
	for i, v := range l.g.Inputs {
		l.views[v] = contiguous(Mem{Input, i, sym.Const(0)}, v.Shape)
		for _, d := range v.Shape {
			for _, s := range d.Symbols() {
				if !seen[s] {
					seen[s] = true
					l.p.Symbols = append(l.p.Symbols, s)
				}
			}
		}
	}
	for _, n := range l.g.Nodes {
		if n.Op.Plain == nil {
			continue
		}
		if c := n.Op.Plain(n).Count; c != "" {
			l.p.Symbols, l.p.Counts = append(l.p.Symbols, c.Sym()), append(l.p.Counts, c)
		}
	}
	for _, g := range l.g.Graphs() {
		for _, n := range g.Nodes {
			for i, v := range n.In {
				if v != nil && !contains(n.In[:i], v) {
					l.users[v] = append(l.users[v], n)
				}
			}
		}
		for _, v := range g.Outputs {
			l.outputs[v] = true
		}
	}
	l.p.decoding = findDecoding(l.g)
	l.keepCaches()
	if len(l.g.Nodes) > 0 {
		l.node = l.g.Nodes[0]
	} else {
		l.node = &ir.Node{}
	}
}

func contains(vs []*ir.Value, v *ir.Value) bool {
	for _, w := range vs {
		if w == v {
			return true
		}
	}
	return false
}

// onlyReader is the node that alone reads a value; nil if there are others, or none, or it is a result of the program.
func (l *lowering) onlyReader(v *ir.Value) *ir.Node {
	if l.outputs[v] || len(l.users[v]) != 1 {
		return nil
	}
	return l.users[v][0]
}

func (l *lowering) lower(n *ir.Node) error {
	switch {
	case n.Op.Elem != nil:
		l.lowerElem(n)
	case n.Op.Row != nil:
		l.lowerRow(n)
	case writesRows(n):
		l.lowerTensorScatter(n)
	case n.Op.Plain != nil:
		l.lowerPlain(n)
	case n.Op == op.Linear:
		l.lowerLinear(n)
	case n.Op == op.ByteMatMul:
		return l.lowerByteMatMul(n)
	case n.Op == op.ByteLinear:
		l.lowerBytes(n)
	case n.Op == op.MatMul:
		return l.lowerMatMul(n)
	case n.Op == op.Attention:
		l.lowerAttention(n)
	case n.Op == op.WindowAttention:
		l.lowerWindowAttention(n)
	case n.Op == op.Gather:
		l.lowerGather(n)
	case n.Op == op.GatherElements:
		l.lowerGatherElements(n)
	case n.Op == op.GatherND:
		l.lowerGatherND(n)
	case n.Op == op.Concat:
		l.lowerConcat(n)
	case n.Op == op.Im2Col:
		return l.lowerIm2Col(n)
	case n.Op == op.Patches:
		return l.lowerPatches(n)
	case n.Op == op.Winograd:
		l.lowerWinograd(n)
	case n.Op == op.GroupedConv:
		return l.lowerGrouped(n)
	case n.Op == op.Depthwise || n.Op == op.DepthwiseMeans:
		l.lowerDepthwise(n)
	case n.Op == op.PoolLast:
		l.lowerPoolLast(n)
	case n.Op == op.Pool:
		return l.lowerPool(n)
	case n.Op == op.TopK:
		l.lowerTopK(n)
	case n.Op == op.Embedding:
		l.lowerEmbedding(n)
	case n.Op == op.CumSum:
		l.lowerCumSum(n)
	case n.Op == op.Resize:
		l.lowerResize(n)
	case n.Op == op.Recurrent:
		l.lowerRecurrent(n)
	case n.Op == op.Loop:
		return l.lowerLoop(n)
	case n.Op == op.Dims:
		l.lowerDims(n)
	case n.Op == op.Iota:
		l.lowerIota(n)
	default:
		return fmt.Errorf("internal error: no lowering for %s", n.Op.Name)
	}
	return nil
}

// alloc makes room for a value's elements in the arena.
func (l *lowering) alloc(v *ir.Value) Mem {
	return l.allocBytes(sym.Product(v.Shape).Mul(sym.Const(v.Elem.Size())))
}

func (l *lowering) allocBytes(n sym.Dim) Mem {
	l.p.Buffers = append(l.p.Buffers, &Buffer{Bytes: n})
	return Mem{Slot, len(l.p.Buffers) - 1, sym.Const(0)}
}

// define allocates an output of the node and makes it known.
func (l *lowering) define(v *ir.Value) Mem {
	m := l.alloc(v)
	l.views[v] = contiguous(m, v.Shape)
	return m
}

// output is the place of a graph output: a slot of its own, contiguous.
func (l *lowering) output(v *ir.Value) Mem {
	w := l.view(v)
	if l.cache(v) {
		return w.mem
	}
	if w.isContiguous() && w.mem.Space == Slot && w.mem.Off.Is(0) && !l.p.Buffers[w.mem.Index].output {
		l.p.Buffers[w.mem.Index].output = true
		return w.mem
	}
	to := l.alloc(v)
	l.emitMove(v, w, contiguous(to, v.Shape))
	l.p.Buffers[to.Index].output = true
	return to
}

// constant is the number of a constant in the weights.
func (l *lowering) constant(v *ir.Value, pack Packing) int {
	key := constKey{shape: fmt.Sprint(v.Elem, v.Const.Shape), pack: pack}
	if len(v.Const.Data) > 0 {
		key.data = &v.Const.Data[0]
	}
	i, ok := l.consts[key]
	if !ok {
		i = len(l.p.Consts)
		l.consts[key] = i
		l.p.Consts = append(l.p.Consts, Const{T: v.Const, Pack: pack})
	}
	return i
}

// kernel is the number of a row kernel or of a walk kernel; equal ones are made once.
func (l *lowering) kernel(k *loop.Kernel) int {
	list := &l.p.Kernels
	if k.Walks() {
		list = &l.p.Walks
	}
	key := k.Key()
	i, ok := l.kernels[key]
	if !ok {
		if err := k.Verify(); err != nil {
			panic(err)
		}
		i = len(*list)
		l.kernels[key] = i
		*list = append(*list, k)
	}
	return i
}

func (l *lowering) emit(c Call) {
	c.From = append(c.From, l.node.From...)
	l.p.Calls = append(l.p.Calls, c)
}

const maxAxes = 8

func ints(ds []sym.Dim) Expr {
	e := Expr{Type: fmt.Sprintf("[%d]int", maxAxes)}
	for _, d := range ds {
		e.List = append(e.List, Field{"", dim(d)})
	}
	return e
}

func bytesOf(ds []sym.Dim, size int64) []sym.Dim {
	out := make([]sym.Dim, len(ds))
	for i, d := range ds {
		out[i] = d.Mul(sym.Const(size))
	}
	return out
}

// trim drops axes of size 1 of views that walk together, keeping at least one axis.
func trim(shape []sym.Dim, vs []view) ([]sym.Dim, []view) {
	var keep []int
	for i, d := range shape {
		if !d.Is(1) {
			keep = append(keep, i)
		}
	}
	if len(keep) == 0 {
		for i := range vs {
			vs[i].strides = []sym.Dim{sym.Const(1)}
		}
		return sym.Consts(1), vs
	}
	pick := func(ds []sym.Dim) []sym.Dim {
		var out []sym.Dim
		for _, i := range keep {
			out = append(out, ds[i])
		}
		return out
	}
	for i := range vs {
		vs[i].strides = pick(vs[i].strides)
	}
	return pick(shape), vs
}

func (l *lowering) emitMove(v *ir.Value, from, to view) { l.emitCopy("Move", v, from, to) }

// emitCopy emits a Move or, for what decoders leave in place, a Carry.
func (l *lowering) emitCopy(method string, v *ir.Value, from, to view) {
	shape, vs := trim(v.Shape, []view{from, to})
	m := moveExpr(shape, v.Elem.Size(), vs[0], vs[1])
	l.emit(Call{Method: method, Type: m.Type, Kind: strings.ToLower(method), Args: m.List})
}

// moveExpr is the rt.Move of elements of so many bytes.
func moveExpr(shape []sym.Dim, size int64, from, to view) Expr {
	return Expr{Type: "rt.Move", List: []Field{{"Rank", num(len(shape))}, {"Size", num(int(size))}, {"Dims", ints(shape)},
		{"From", mem(from.mem)}, {"SF", ints(bytesOf(from.strides, size))}, {"To", mem(to.mem)}, {"ST", ints(bytesOf(to.strides, size))}}}
}

func (l *lowering) lowerRow(n *ir.Node) {
	k := n.Op.Row(n)
	x := n.In[0]
	last := len(x.Shape) - 1
	rows, width := sym.Product(x.Shape[:last]), x.Shape[last]
	var bufs []view
	add := func(v *ir.Value, m Mem, step sym.Dim) {
		size := sym.Const(v.Elem.Size())
		st := []sym.Dim{step.Mul(size), size}
		switch {
		case k.Bufs[len(bufs)].Uniform:
			st = []sym.Dim{size, sym.Const(0)}
		case len(v.Shape) == 1 && last > 0:
			st[0] = sym.Const(0)
		}
		bufs = append(bufs, view{mem: m, strides: st})
	}
	for _, v := range n.In {
		if k.Bufs[len(bufs)].Uniform || len(v.Shape) <= 1 {
			add(v, l.buffer(v), width)
			continue
		}
		from, step := l.rows(v)
		add(v, from, step)
	}
	for _, v := range n.Out {
		add(v, l.define(v), width)
	}
	l.emitRows(n.Op.Name, l.kernel(k), []sym.Dim{rows, width}, bufs, true)
}

// emitRows emits a nest; strides are in bytes here.
func (l *lowering) emitRows(kind string, kernel int, dims []sym.Dim, bufs []view, whole bool) {
	c := Call{Method: "Rows", Type: "rt.Rows", Kind: kind}
	c.arg("Kernel", num(kernel))
	c.arg("Rank", num(len(dims)))
	c.arg("Bufs", num(len(bufs)))
	if whole {
		c.arg("Whole", text("true"))
	}
	c.arg("Dims", ints(dims))
	ps := Expr{Type: "[12]rt.Ptr"}
	st := Expr{Type: "[12][8]int"}
	for _, b := range bufs {
		ps.List = append(ps.List, Field{"", mem(b.mem)})
		s := ints(b.strides)
		s.Type = ""
		st.List = append(st.List, Field{"", s})
	}
	c.arg("P", ps)
	c.arg("Stride", st)
	l.emit(c)
}

func (l *lowering) lowerLinear(n *ir.Node) {
	if x := n.In[0].Def; x != nil && l.inLayers(x) {
		l.emit(l.layersCall(x, n))
		return
	}
	l.emit(l.linearCall(n))
}

func (l *lowering) linearCall(n *ir.Node) Call {
	x, w := n.In[0], n.In[1]
	m := sym.Product(x.Shape[:len(x.Shape)-1])
	c := Call{Method: "Linear", Type: "rt.Linear", Kind: "linear"}
	c.arg("M", dim(m))
	c.arg("N", dim(w.Shape[1]))
	c.arg("K", dim(w.Shape[0]))
	conv, scales, scaled := false, scaling{}, false
	if x.Def != nil {
		conv = l.inConv(x.Def)
		scales, scaled = l.inLinear(x.Def)
	}
	if !conv && !scaled {
		from, step := l.rows(x)
		c.arg("A", mem(from))
		if step != w.Shape[0] {
			c.arg("Row", dim(step.Mul(sym.Const(4))))
		}
	}
	l.layerArgs(&c, n, n.Attr.(op.LinearAttr), true)
	c.Flops = sym.Const(2).Mul(m).Mul(w.Shape[0]).Mul(w.Shape[1])
	if conv {
		l.convArgs(&c, x.Def)
	}
	if scaled {
		c.From = append(c.From, x.Def.From...)
		l.scaledArgs(&c, scales)
	}
	return c
}

// layerArgs adds weights, bias, residual, result and activation of a layer whose inputs are x, W, bias and residual. Where tiles end the
// layer, they add the residual and take max(0, x) themselves.
func (l *lowering) layerArgs(c *Call, n *ir.Node, attr op.LinearAttr, tilesEnd bool) {
	w, bias, res := n.In[1], n.In[2], n.In[3]
	pack, form := Panels, rt.Coded{}
	if n.Op == op.Linear && !l.hasInner(n) && !l.inDepthwise(n) {
		if f, ok := formOf(w.Const, l.p.decoding != nil); ok {
			pack, form = CodedPanels, f
			fields := []Field{{"Bits", num(f.Bits)}, {"Block", num(f.Block)}}
			if f.Half {
				fields = append(fields, Field{"Half", text("true")})
			}
			c.arg("Coded", Expr{Type: "rt.Coded", List: fields})
		}
	}
	number := l.weightArgs(c, w, bias, pack)
	l.p.Consts[number].Form = form
	if res != nil {
		c.arg("Res", mem(l.buffer(res)))
	}
	if !l.inDepthwise(n) {
		l.resultArgs(c, n, attr)
	}
	l.activationArgs(c, attr, res != nil, tilesEnd)
}

// weightArgs adds weights and bias; it gives the weights' number.
func (l *lowering) weightArgs(c *Call, w, bias *ir.Value, pack Packing) int {
	number := l.constant(w, pack)
	c.arg("W", mem(Mem{Weight, number, sym.Const(0)}))
	if bias != nil {
		c.arg("Bias", mem(l.buffer(bias)))
	}
	return number
}

// activationArgs adds the row kernel, if there is one.
func (l *lowering) activationArgs(c *Call, attr op.LinearAttr, res, tilesEnd bool) {
	act := -1
	if attr.Act != "" {
		c.Kind += "+" + attr.Act
	}
	if attr.Times {
		c.Kind += "+gate"
	}
	if attr.Act != "" || attr.Times || res && !tilesEnd {
		k := op.EpilogueKernel(attr, false, res)
		k.Name = "act_" + attr.Act
		act = l.kernel(k)
	}
	c.arg("Act", num(act))
	if tilesEnd && attr.Act == "relu" && (!res || attr.Last) && !attr.Times {
		c.arg("Relu", text("true"))
	}
}

// resultArgs adds where the result goes: a layer without an activation of its own writes rows in lines, such as Swin's patch merging wants.
func (l *lowering) resultArgs(c *Call, n *ir.Node, attr op.LinearAttr) {
	out, apart := n.Out[0], Expr{}
	w := l.place(out, func(w view) (ok bool) {
		apart, ok = w.lines(out.Shape[len(out.Shape)-1])
		return ok && n.Op == op.Linear && attr.Act == "" && !attr.Times && !l.hasInner(n)
	})
	c.arg("C", mem(w.mem))
	if !w.isContiguous() {
		c.arg("Out", apart)
	}
}

func (l *lowering) lowerMatMul(n *ir.Node) error {
	c := Call{Method: "MatMul", Type: "rt.MatMul", Kind: "matmul"}
	batch, err := l.matrices(&c, n)
	if err != nil {
		return err
	}
	b := n.In[1].Shape
	panels := b[len(b)-1].CeilDiv(sym.Const(16)).Mul(sym.Const(16))
	c.arg("Packed", mem(l.allocBytes(batch.Mul(panels).Mul(b[len(b)-2]).Mul(sym.Const(4)))))
	l.emit(c)
	return nil
}

// matrices adds the sizes and places of two computed operands and of their product, and gives the batch's size.
func (l *lowering) matrices(c *Call, n *ir.Node) (sym.Dim, error) {
	a, b, out := n.In[0], n.In[1], n.Out[0]
	r := len(out.Shape)
	batch := out.Shape[:r-2]
	if len(batch) > 3 {
		return sym.Dim{}, fmt.Errorf("a product of matrices in %d batch axes", len(batch))
	}
	sizes := [3]sym.Dim{sym.Const(1), sym.Const(1), sym.Const(1)}
	copy(sizes[3-len(batch):], batch)
	va := contiguous(l.buffer(a), a.Shape)
	vb, column := l.matrixB(b)
	k := a.Shape[len(a.Shape)-1]
	c.arg("Batch", triple(sizes[:]))
	c.arg("SA", triple(batchStrides(va, batch)))
	c.arg("SB", triple(batchStrides(vb, batch)))
	c.arg("M", dim(out.Shape[r-2]))
	c.arg("N", dim(out.Shape[r-1]))
	c.arg("K", dim(k))
	c.arg("A", mem(va.mem))
	c.arg("B", mem(vb.mem))
	c.arg("C", mem(l.define(out)))
	if column != nil {
		c.arg("Column", dim(*column))
	}
	c.Flops = sym.Const(2).Mul(sym.Product(out.Shape)).Mul(k)
	return sym.Product(batch), nil
}

// matrixB is the second operand of a product: rows next to each other or, if column is set, columns so many elements apart, each contiguous.
func (l *lowering) matrixB(b *ir.Value) (v view, column *sym.Dim) {
	w, last := l.view(b), len(b.Shape)-1
	if w.isContiguous() || !w.strides[last-1].Is(1) || w.strides[last].Is(0) {
		return contiguous(l.buffer(b), b.Shape), nil
	}
	return w, &w.strides[last]
}

func triple(ds []sym.Dim) Expr {
	e := Expr{Type: "[3]int"}
	for _, d := range ds {
		e.List = append(e.List, Field{"", dim(d)})
	}
	return e
}

// batchStrides are the strides of the batch axes of an operand, three of them, 0 where it is broadcast.
func batchStrides(v view, batch []sym.Dim) []sym.Dim {
	own := len(v.shape) - 2
	w := view{v.mem, v.shape[:own], v.strides[:own]}.broadcast(batch)
	out := make([]sym.Dim, 3)
	copy(out[3-len(batch):], w.strides)
	return out
}
