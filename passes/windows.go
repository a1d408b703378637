package passes

import (
	"bytes"
	"slices"
	"unsafe"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Windows makes attention within windows of an image (Liu et al., 2021) one operator. The moves that shift and partition the image
// before the projections of queries, keys and values, and those that put it together again after the output's, only permute rows, which a
// linear layer does not mind: the layers work on the image as it is, and attention finds a window's rows by a table. What the moves do is
// not matched but computed, by running them on numbers that count, so their spelling does not matter.
var Windows = Rewrite("windows", "makes window attention one operator", Rule{"windows", func() *ir.Op { return op.Attention }, windows})

func windows(c *Context, n *ir.Node) *ir.Patch {
	w := &windowed{c: c, n: n}
	heads, ok1 := n.In[0].Shape[1].Const()
	m, ok2 := n.In[0].Shape[2].Const()
	if !ok1 || !ok2 || n.In[1].Shape[2] != n.In[0].Shape[2] || m < 2 {
		return nil
	}
	if n.Attr.(op.AttentionAttr).Cap != 0 {
		return c.Miss(n, "windows", "scores are held within a cap")
	}
	w.attr = op.WindowAttr{Heads: heads, Scale: n.Attr.(op.AttentionAttr).Scale, Guard: n.Attr.(op.AttentionAttr).Guard}
	w.m = m
	for i := range w.lins {
		v := n.In[i]
		w.angle[i], v = cosine(v, heads)
		if w.lins[i], w.at[i], w.step[i] = w.projection(v); w.lins[i] == nil {
			return nil
		}
	}
	w.attr.D, _ = n.In[0].Shape[3].Const()
	w.attr.E, _ = n.In[2].Shape[3].Const()
	split := w.angle != [3]angle{} || w.step != [3]int64{w.attr.D, w.attr.D, w.attr.E} && (w.step[0] != w.step[1] || w.step[0] != w.step[2])
	if split && !w.split() {
		return c.Miss(n, "windows", "the weights of a projection are not constant")
	}
	w.attr.QAt, w.attr.KAt, w.attr.VAt = w.at[0], w.at[1], w.at[2]
	if w.step != [3]int64{w.attr.D, w.attr.D, w.attr.E} {
		w.attr.Step = w.step[0]
	}
	if !w.source() {
		return nil
	}
	end := w.end()
	if end == nil {
		return c.Miss(n, "windows", "what follows the output's projection does not undo the partition")
	}
	mask, ok := w.mask()
	if !ok {
		return c.Miss(n, "windows", "the mask is not constant")
	}
	around, ok := w.around()
	if !ok {
		return c.Miss(n, "windows", "what the layers make of an image's surroundings is not constant")
	}
	return w.patch(end, mask, around)
}

// windowed is a window attention being recognised.
type windowed struct {
	c     *Context
	n     *ir.Node
	attr  op.WindowAttr
	m     int64
	lins  [3]*ir.Node
	at    [3]int64
	step  [3]int64  // columns from one head's to the next
	parts [3]*part  // of the layers' columns, if they are not taken whole
	angle [3]angle  // what is done to the rows before attention
	image *ir.Value // what the layers' inputs are rows of
	table []int64   // row of each window's row in the image, or -1
	count int64     // rows of the image
	out   *ir.Node  // the output's projection
}

// angle is what cosine attention does to queries and keys: rows divided by their lengths, and a factor for each head.
type angle struct {
	norm   *ir.Node
	factor *ir.Value // [heads], constant
}

// part is a layer's weights and bias for some columns.
type part struct{ w, bias *ir.Value }

// cosine looks through a factor for each head and a division by the length.
func cosine(v *ir.Value, heads int64) (a angle, of *ir.Value) {
	if mul := by(v, op.Mul); mul != nil {
		for _, o := range operands(mul) {
			f := o[1]
			if f.Const == nil || f.Const.Elem != loop.F32 || !ir.SameShape(o[0].Shape, v.Shape) || !oneEachHead(f.Const.Shape, heads) {
				continue
			}
			a.factor = ir.ConstValue(f.Name, &ir.Tensor{Elem: loop.F32, Shape: []int64{heads, 1}, Data: f.Const.Data})
			v = o[0]
			break
		}
	}
	if n := by(v, op.L2Norm); n != nil {
		a.norm, v = n, n.In[0]
	}
	return a, v
}

// oneEachHead reports whether a shape broadcast to [windows, heads, rows, columns] has one element a head.
func oneEachHead(shape []int64, heads int64) bool {
	n := len(shape)
	return ir.NumElements(shape) == heads && n >= 3 && shape[n-3] == heads
}

// split takes the columns of queries, keys and values apart, heads one behind the other, so that rows of heads can be worked on before
// attention without a move.
func (w *windowed) split() bool {
	for i, l := range w.lins {
		size := []int64{w.attr.D, w.attr.D, w.attr.E}[i]
		weights, bias := l.In[1].Const, l.In[2]
		if weights == nil || bias != nil && bias.Const == nil {
			return false
		}
		if weights.Shape[1] == w.attr.Heads*size && w.step[i] == size {
			continue
		}
		p := &part{w: ir.ConstValue(l.In[1].Name, w.headColumns(weights, i, size))}
		if bias != nil {
			p.bias = ir.ConstValue(bias.Name, w.headColumns(bias.Const, i, size))
		}
		w.parts[i], w.at[i], w.step[i] = p, 0, size
	}
	return true
}

// headColumns are the columns of a constant that make the heads of queries, keys or values, of size elements each.
func (w *windowed) headColumns(t *ir.Tensor, i int, size int64) *ir.Tensor {
	last := len(t.Shape) - 1
	width := t.Shape[last]
	out := ir.NewTensor(t.Elem, append(append([]int64{}, t.Shape[:last]...), w.attr.Heads*size)...)
	from, to := ir.Slice[float32](t), ir.Slice[float32](out)
	for k := int64(0); k*size < int64(len(to)); k++ {
		copy(to[k*size:(k+1)*size], from[k/w.attr.Heads*width+w.at[i]+k%w.attr.Heads*w.step[i]:])
	}
	return out
}

// isMove reports whether a node only moves elements.
func isMove(n *ir.Node) bool {
	switch n.Op {
	case op.Transpose, op.Reshape, op.Slice, op.Concat:
		return true
	case op.Gather:
		return n.In[1].Const != nil && len(n.In[1].Shape) == 0
	}
	return false
}

// from walks back through moves of one input.
func from(v *ir.Value) *ir.Value {
	for v.Def != nil && isMove(v.Def) && v.Def.Op != op.Concat {
		v = v.Def.In[0]
	}
	return v
}

// bindings are two sizes of the only symbol of a shape, the batch, or one if there is none; nil if there are more symbols.
func bindings(shape []sym.Dim) []sym.Binding {
	symbols := sym.Product(shape).Symbols()
	switch len(symbols) {
	case 0:
		return []sym.Binding{{}}
	case 1:
		return []sym.Binding{{symbols[0]: 1}, {symbols[0]: 2}}
	}
	return nil
}

// places are, for each element of v, which element of src it is, if v is made of src by moves alone.
func places(v, src *ir.Value, b sym.Binding, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	if t, ok := memo[v]; ok {
		return t
	}
	memo[v] = nil
	if v == src {
		shape, err := ir.EvalShape(v.Shape, b)
		if err != nil || ir.NumElements(shape) > 1<<26 {
			return nil
		}
		t := ir.NewTensor(loop.I32, shape...)
		list := ir.Slice[int32](t)
		for i := range list {
			list[i] = int32(i)
		}
		memo[v] = t
		return t
	}
	if v.Def == nil || !isMove(v.Def) {
		return nil
	}
	in := make([]*ir.Tensor, len(v.Def.In))
	for i, x := range v.Def.In {
		if x.Const != nil && v.Def.Op == op.Gather {
			in[i] = x.Const
			continue
		}
		if v.Def.Op == op.Concat && isZeros(x) {
			if in[i] = nowhere(x, b); in[i] == nil {
				return nil
			}
			continue
		}
		if x.Const != nil {
			return nil
		}
		if in[i] = places(x, src, b, memo); in[i] == nil {
			return nil
		}
	}
	return computed(v, b, in, memo)
}

// isZeros reports whether a value is what an image is padded with.
func isZeros(v *ir.Value) bool {
	if v.Def != nil && (v.Def.Op == op.Expand || v.Def.Op == op.Reshape) {
		return isZeros(v.Def.In[0])
	}
	return v.Const != nil && v.Const.Elem == loop.F32 && len(bytes.Trim(v.Const.Data, "\x00")) == 0
}

// nowhere are the places of what is around an image.
func nowhere(v *ir.Value, b sym.Binding) *ir.Tensor {
	shape, err := ir.EvalShape(v.Shape, b)
	if err != nil || ir.NumElements(shape) > 1<<26 {
		return nil
	}
	t := ir.NewTensor(loop.I32, shape...)
	for i := range ir.Slice[int32](t) {
		ir.Slice[int32](t)[i] = -1
	}
	return t
}

// computed evaluates the node of a value of one output and remembers what it gives; nil if it cannot be evaluated.
func computed(v *ir.Value, b sym.Binding, in []*ir.Tensor, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	out, err := v.Def.Eval(b, in)
	if err != nil {
		return nil
	}
	memo[v] = out[0]
	return out[0]
}

// elements gives places as numbers; f32 elements hold them as bits.
func elements(v, src *ir.Value, b sym.Binding) []int32 {
	t := places(v, src, b, map[*ir.Value]*ir.Tensor{})
	if t == nil || t.Len() == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&t.Data[0])), t.Len())
}

// projection is the linear layer that v [windows, heads, rows, size] is columns of, the first of them, and from how many columns on the
// next head's are.
func (w *windowed) projection(v *ir.Value) (l *ir.Node, at, step int64) {
	l = by(from(v), op.Linear)
	if l == nil || l.In[3] != nil || l.Attr.(op.LinearAttr).Act != "" || len(l.Out[0].Shape) < 2 {
		return nil, 0, 0
	}
	size, ok1 := v.Shape[3].Const()
	cols, ok2 := l.Out[0].Shape[len(l.Out[0].Shape)-1].Const()
	list := bindings(append(append([]sym.Dim{}, v.Shape...), l.Out[0].Shape...))
	if !ok1 || !ok2 || list == nil {
		return nil, 0, 0
	}
	for _, b := range list {
		e := elements(v, l.Out[0], b)
		if e == nil {
			return nil, 0, 0
		}
		at, step = int64(e[0]), size
		if w.attr.Heads > 1 {
			step = int64(e[w.m*size]) - at
		}
		for i, x := range e {
			k := int64(i)
			d, r, h, win := k%size, k/size%w.m, k/size/w.m%w.attr.Heads, k/size/w.m/w.attr.Heads
			if int64(x) != (win*w.m+r)*cols+at+h*step+d {
				return nil, 0, 0
			}
		}
	}
	return l, at, step
}

// source finds the image whose rows the layers work on, and the table of windows.
func (w *windowed) source() bool {
	x := w.lins[0].In[0]
	for _, l := range w.lins {
		if l.In[0] != x {
			return false
		}
	}
	src := rootOf(x)
	if src == nil {
		return false
	}
	w.image = src
	w.table = w.rows(x, src)
	if w.table == nil || int64(len(w.table))%w.m != 0 {
		return false
	}
	var err error
	if w.count, err = op.WindowRows(ir.Ints(w.table, int64(len(w.table))), true); err != nil {
		return false
	}
	for i, r := range w.table {
		if int64(i) != r {
			return true
		}
	}
	return int64(len(w.table)) > w.m
}

// rootOf is the only value that v is made of by moves.
func rootOf(v *ir.Value) *ir.Value {
	if v.Def == nil || !isMove(v.Def) {
		return v
	}
	var root *ir.Value
	for i, x := range v.Def.In {
		if x.Const != nil && v.Def.Op == op.Gather && i == 1 || v.Def.Op == op.Concat && isZeros(x) {
			continue
		}
		r := rootOf(x)
		if root != nil && r != root {
			return nil
		}
		root = r
	}
	return root
}

// rows is how v permutes the rows of src within each entry of the batch, if that is what it does: row i of v is row rows[i] of src, or -1
// if it is around the image.
func (w *windowed) rows(v, src *ir.Value) []int64 {
	cols, ok := src.Shape[len(src.Shape)-1].Const()
	last, same := v.Shape[len(v.Shape)-1].Const()
	list := bindings(append(append([]sym.Dim{}, v.Shape...), src.Shape...))
	if !ok || !same || cols != last || list == nil {
		return nil
	}
	var table []int64
	for _, b := range list {
		e := elements(v, src, b)
		shape, err := ir.EvalShape(src.Shape, b)
		if e == nil || err != nil {
			return nil
		}
		batch := int64(1)
		for _, n := range b {
			batch = n
		}
		of := ir.NumElements(shape)
		if int64(len(e))%(cols*batch) != 0 || of%(cols*batch) != 0 {
			return nil
		}
		if table = entries(e, table, cols, int64(len(e))/cols/batch, of/cols/batch); table == nil {
			return nil
		}
	}
	return table
}

// entries is the table of rows that places e are of, each rows of v and of rows of src an entry of the batch; nil if they are not rows or
// if entries of the batch, or a table made before, differ.
func entries(e []int32, table []int64, cols, each, of int64) []int64 {
	for i, p := range e {
		k, col := int64(i)/cols, int64(i)%cols
		row := int64(-1)
		if p >= 0 {
			if row = int64(p) / cols; int64(p)%cols != col || row/of != k/each {
				return nil
			}
			row %= of
		}
		switch {
		case int64(len(table)) < each && col == 0:
			table = append(table, row)
		case int64(len(table)) <= k%each || table[k%each] != row:
			return nil
		}
	}
	return table
}

// end is the value that holds the rows of the output's projection in the image's order again.
func (w *windowed) end() *ir.Value {
	y := w.n.Out[0]
	for {
		u := w.c.Only(y)
		if u == nil {
			return nil
		}
		if u.Op == op.Linear {
			w.out = u
			break
		}
		if !isMove(u) {
			return nil
		}
		y = u.Out[0]
	}
	if w.out.In[3] != nil || w.out.Attr.(op.LinearAttr).Act != "" || !w.joined() {
		return nil
	}
	inverse := make([]int64, w.count)
	for i, r := range w.table {
		if r >= 0 {
			inverse[r] = int64(i)
		}
	}
	derived, moves := map[*ir.Value]bool{w.out.Out[0]: true}, map[*ir.Node]bool{}
	var end *ir.Value
	for _, n := range w.c.Graph.Nodes {
		if !isMove(n) || !allIn(n, derived) {
			continue
		}
		moves[n] = true
		v := n.Out[0]
		derived[v] = true
		if slices.Equal(w.rows(v, w.out.Out[0]), inverse) {
			end = v
		}
	}
	if end == nil && slices.Equal(w.rows(w.out.Out[0], w.out.Out[0]), inverse) {
		return w.out.Out[0]
	}
	for v := range derived {
		if v == end || end == nil {
			continue
		}
		for _, u := range w.c.Users(v) {
			if !moves[u] {
				return nil
			}
		}
	}
	return end
}

func allIn(n *ir.Node, set map[*ir.Value]bool) bool {
	for i, v := range n.In {
		if !set[v] && !(n.Op == op.Gather && i == 1) {
			return false
		}
	}
	return len(n.In) > 0
}

// joined reports whether the output's projection reads the heads of each row one behind the other.
func (w *windowed) joined() bool {
	x, y := w.out.In[0], w.n.Out[0]
	for _, b := range bindings(append(append([]sym.Dim{}, x.Shape...), y.Shape...)) {
		e := elements(x, y, b)
		if e == nil {
			return false
		}
		size := w.attr.E
		for i, p := range e {
			k := int64(i)
			d, h, r, win := k%size, k/size%w.attr.Heads, k/size/w.attr.Heads%w.m, k/size/w.attr.Heads/w.m
			if int64(p) != ((win*w.attr.Heads+h)*w.m+r)*size+d {
				return false
			}
		}
	}
	return true
}

// mask is the mask as a constant for the windows of one image, or nil if there is none.
func (w *windowed) mask() (*ir.Value, bool) {
	v := w.n.In[3]
	if v == nil {
		return nil, true
	}
	if len(v.Shape) != 4 {
		return nil, false
	}
	list := bindings(v.Shape)
	var first *ir.Tensor
	for _, b := range list {
		t := constantUnder(v, b, map[*ir.Value]*ir.Tensor{})
		if t == nil || t.Shape[2] != w.m || t.Shape[3] != w.m {
			return nil, false
		}
		if first == nil {
			first = t
			continue
		}
		for k := 0; k < len(t.Data); k += len(first.Data) {
			if string(t.Data[k:k+len(first.Data)]) != string(first.Data) {
				return nil, false
			}
		}
	}
	if first == nil || first.Shape[0] != 1 && first.Shape[0] != int64(len(w.table))/w.m {
		return nil, false
	}
	return ir.ConstValue("", first), true
}

// constantUnder computes a value that depends on nothing but constants and the batch.
func constantUnder(v *ir.Value, b sym.Binding, memo map[*ir.Value]*ir.Tensor) *ir.Tensor {
	if v.Const != nil {
		return v.Const
	}
	if t, ok := memo[v]; ok || v.Def == nil || len(memo) > 200 || len(v.Def.Out) != 1 {
		return t
	}
	memo[v] = nil
	if shape, err := ir.EvalShape(v.Shape, b); err != nil || ir.NumElements(shape) > 1<<24 {
		return nil
	}
	in := make([]*ir.Tensor, len(v.Def.In))
	for i, x := range v.Def.In {
		if x == nil {
			continue
		}
		if in[i] = constantUnder(x, b, memo); in[i] == nil {
			return nil
		}
	}
	return computed(v, b, in, memo)
}

func (w *windowed) patch(end, mask *ir.Value, around []*ir.Value) *ir.Patch {
	p := ir.NewPatch(end.Def, w.lins[0], w.lins[1], w.lins[2], w.n, w.out)
	shape := w.image.Shape
	rows := sym.Const(w.count)
	batch, _ := sym.Product(shape[:len(shape)-1]).Div(rows)
	x := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{batch, rows, shape[len(shape)-1]})}, w.image)
	made := map[*ir.Node]*ir.Value{}
	var in [3]*ir.Value
	for i, l := range w.lins {
		if c := w.parts[i]; c != nil {
			in[i] = p.Emit1(op.Linear, l.Attr, x, c.w, c.bias, nil)
		} else if in[i] = made[l]; in[i] == nil {
			in[i] = p.Emit1(op.Linear, l.Attr, x, l.In[1], l.In[2], nil)
			made[l] = in[i]
		}
		in[i] = w.turned(p, i, in[i])
	}
	table := ir.ConstValue("", ir.Ints(w.table, int64(len(w.table))/w.m, w.m))
	operands := append(append(in[:], table, mask), around...)
	y := p.Emit1(op.WindowAttention, w.attr, operands...)
	y = p.Emit1(op.Linear, w.out.Attr, y, w.out.In[1], w.out.In[2], nil)
	return p.Replace(end, p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(end.Shape)}, y))
}

// turned is what cosine attention makes of a layer's rows.
func (w *windowed) turned(p *ir.Patch, i int, rows *ir.Value) *ir.Value {
	a, whole := w.angle[i], rows.Shape
	if a == (angle{}) {
		return rows
	}
	v := p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims([]sym.Dim{whole[0], whole[1], sym.Const(w.attr.Heads), sym.Const(w.attr.D)})}, rows)
	if a.norm != nil {
		v = p.Emit1(op.L2Norm, a.norm.Attr, v)
	}
	if a.factor != nil {
		v = p.Emit1(op.Mul, nil, v, a.factor)
	}
	return p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(whole)}, v)
}

// around is what the layers make of the zeros around an image: their biases, and what cosine attention makes of those. None if no window
// reaches there.
func (w *windowed) around() (rows []*ir.Value, ok bool) {
	if w.count == int64(len(w.table)) {
		return nil, true
	}
	for i, l := range w.lins {
		weights, bias := l.In[1], l.In[2]
		if c := w.parts[i]; c != nil {
			weights, bias = c.w, c.bias
		}
		row := ir.NewTensor(loop.F32, weights.Const.Shape[1])
		if bias != nil {
			row = bias.Const
		}
		if row = w.turnedRow(i, row); row == nil {
			return nil, false
		}
		rows = append(rows, ir.ConstValue("", row))
	}
	return rows, true
}

// turnedRow is turned for one constant row; nil if it cannot be computed.
func (w *windowed) turnedRow(i int, row *ir.Tensor) *ir.Tensor {
	a := w.angle[i]
	if row == nil || a == (angle{}) {
		return row
	}
	v := &ir.Tensor{Elem: loop.F32, Shape: []int64{w.attr.Heads, w.attr.D}, Data: row.Data}
	if a.norm != nil {
		v = evaluated(op.L2Norm, a.norm.Attr, v)
	}
	if a.factor != nil && v != nil {
		v = evaluated(op.Mul, nil, v, a.factor.Const)
	}
	if v == nil {
		return nil
	}
	return &ir.Tensor{Elem: loop.F32, Shape: row.Shape, Data: v.Data}
}

// evaluated is the result of a node of constants; nil if there is none.
func evaluated(o *ir.Op, attr any, in ...*ir.Tensor) *ir.Tensor {
	values := make([]*ir.Value, len(in))
	for i, t := range in {
		values[i] = ir.ConstValue("", t)
	}
	n, err := ir.NewNode(o, attr, nil, values...)
	if err != nil {
		return nil
	}
	out, err := n.Eval(nil, in)
	if err != nil {
		return nil
	}
	return out[0]
}
