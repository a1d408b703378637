package passes

import (
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Windows makes attention within windows of an image (Liu et al., 2021) one operator. The moves that shift and partition the image
// before the projections of queries, keys and values, and those that put it together again after the output's, only permute rows, which a
// linear layer does not mind: the layers work on the image as it is, and attention finds a window's rows by a table. What the moves do is
// not matched but computed, by running them on numbers that count, so their spelling does not matter. Where the image's size is open, the
// program makes the table by the same moves.
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
		if w.lins[i] = by(from(v), op.Linear); w.lins[i] == nil || i == 0 && !w.sizes() {
			return nil
		}
		if w.at[i], w.step[i] = w.projection(v, w.lins[i]); w.step[i] == 0 {
			return nil
		}
		w.size[i], _ = v.Shape[3].Const()
	}
	w.attr.D, w.attr.E = w.size[0], w.size[2]
	split := w.angle != [3]angle{} || w.step != w.size && (w.step[0] != w.step[1] || w.step[0] != w.step[2])
	if split && !w.split() {
		return c.Miss(n, "windows", "the weights of a projection are not constant")
	}
	w.attr.QAt, w.attr.KAt, w.attr.VAt = w.at[0], w.at[1], w.at[2]
	if w.step != w.size {
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
		return c.Miss(n, "windows", "the mask depends on more than sizes, or differs from image to image")
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
	size  [3]int64  // columns of a head
	step  [3]int64  // columns from one head's to the next
	parts [3]*part  // of the layers' columns, if they are not taken whole
	angle [3]angle  // what is done to the rows before attention
	image *ir.Value // what the layers' inputs are rows of
	out   *ir.Node  // the output's projection

	list   []sym.Binding // sizes at which moves are looked at
	batch  string        // the symbol of the number of images; empty if it is not open
	open   bool          // the size of an image is, too
	tables [][]int64     // at each of the sizes, the row in the image of each window's row, or -1
	counts []int64       // rows of the image
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
		size := w.size[i]
		weights, bias := l.In[1].Const, l.In[2]
		if weights == nil || bias != nil && bias.Const == nil {
			return false
		}
		if weights.Shape[1] == w.attr.Heads*size && w.step[i] == size {
			continue
		}
		p := &part{w: ir.ConstValue(l.In[1].Name, w.headColumns(weights, i))}
		if bias != nil {
			p.bias = ir.ConstValue(bias.Name, w.headColumns(bias.Const, i))
		}
		w.parts[i], w.at[i], w.step[i] = p, 0, size
	}
	return true
}

// headColumns are the columns of a constant that make the heads of queries, keys or values.
func (w *windowed) headColumns(t *ir.Tensor, i int) *ir.Tensor {
	last := len(t.Shape) - 1
	width, size := t.Shape[last], w.size[i]
	out := ir.NewTensor(t.Elem, append(append([]int64{}, t.Shape[:last]...), w.attr.Heads*size)...)
	from, to := ir.Slice[float32](t), ir.Slice[float32](out)
	for k := int64(0); k*size < int64(len(to)); k++ {
		copy(to[k*size:(k+1)*size], from[k/w.attr.Heads*width+w.at[i]+k%w.attr.Heads*w.step[i]:])
	}
	return out
}

// projection is from which of the columns of a linear layer on v [windows, heads, rows, size] is them, and from how many columns on the
// next head's are; step is 0 if it is not.
func (w *windowed) projection(v *ir.Value, l *ir.Node) (at, step int64) {
	if l.In[3] != nil || l.Attr.(op.LinearAttr).Act != "" || len(l.Out[0].Shape) < 2 {
		return 0, 0
	}
	size, ok1 := v.Shape[3].Const()
	cols, ok2 := l.Out[0].Shape[len(l.Out[0].Shape)-1].Const()
	if !ok1 || !ok2 {
		return 0, 0
	}
	for _, b := range w.list {
		e := elements(v, l.Out[0], b)
		if e == nil {
			return 0, 0
		}
		at, step = int64(e[0]), size
		if w.attr.Heads > 1 {
			step = int64(e[w.m*size]) - at
		}
		for i, x := range e {
			k := int64(i)
			d, r, h, win := k%size, k/size%w.m, k/size/w.m%w.attr.Heads, k/size/w.m/w.attr.Heads
			if int64(x) != (win*w.m+r)*cols+at+h*step+d {
				return 0, 0
			}
		}
	}
	return at, step
}

// source finds the tables of windows at each of the sizes.
func (w *windowed) source() bool {
	x := w.lins[0].In[0]
	for _, l := range w.lins {
		if l.In[0] != x {
			return false
		}
	}
	if w.tables = w.rows(x, w.image); w.tables == nil {
		return false
	}
	permutes := false
	for _, table := range w.tables {
		count, err := op.WindowRows(ir.Ints(table, int64(len(table))), true)
		if err != nil || int64(len(table))%w.m != 0 {
			return false
		}
		w.counts = append(w.counts, count)
		for i, r := range table {
			permutes = permutes || int64(i) != r
		}
		permutes = permutes || int64(len(table)) > w.m
	}
	return permutes
}

// rows is how v permutes the rows of src within each image, if that is what it does, at each of the sizes: row i of v is row rows[i] of src,
// or -1 if it is around the image.
func (w *windowed) rows(v, src *ir.Value) [][]int64 {
	cols, ok := src.Shape[len(src.Shape)-1].Const()
	last, same := v.Shape[len(v.Shape)-1].Const()
	if !ok || !same || cols != last {
		return nil
	}
	var tables [][]int64
	for i, b := range w.list {
		e := elements(v, src, b)
		shape, err := ir.EvalShape(src.Shape, b)
		if e == nil || err != nil {
			return nil
		}
		batch, of := int64(1), ir.NumElements(shape)
		if w.batch != "" {
			batch = b[w.batch]
		}
		if int64(len(e))%(cols*batch) != 0 || of%(cols*batch) != 0 {
			return nil
		}
		var table []int64
		if i > 0 && !w.open {
			table = tables[0] // no other number of images makes another
		}
		if table = entries(e, table, cols, int64(len(e))/cols/batch, of/cols/batch); table == nil {
			return nil
		}
		tables = append(tables, table)
	}
	return tables
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
	inverse := w.inverse()
	undoes := func(v *ir.Value) bool { return slices.EqualFunc(w.rows(v, w.out.Out[0]), inverse, slices.Equal) }
	derived, moves := map[*ir.Value]bool{w.out.Out[0]: true}, map[*ir.Node]bool{}
	var end *ir.Value
	for _, n := range w.c.Graph.Nodes {
		if !isMove(n) || !allIn(n, derived) {
			continue
		}
		moves[n] = true
		v := n.Out[0]
		derived[v] = true
		if undoes(v) {
			end = v
		}
	}
	if end == nil && undoes(w.out.Out[0]) {
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

// inverse are the rows of windows that hold each row of an image, at each of the sizes.
func (w *windowed) inverse() [][]int64 {
	out := make([][]int64, len(w.tables))
	for k, table := range w.tables {
		out[k] = make([]int64, w.counts[k])
		for i, r := range table {
			if r >= 0 {
				out[k][r] = int64(i)
			}
		}
	}
	return out
}

// joined reports whether the output's projection reads the heads of each row one behind the other.
func (w *windowed) joined() bool {
	x, y := w.out.In[0], w.n.Out[0]
	for _, b := range w.list {
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

// mask is the mask for the windows of one image, or nil if there is none. It may depend on sizes alone, and is the same for every image.
func (w *windowed) mask() (*ir.Value, bool) {
	v := w.n.In[3]
	if v == nil {
		return nil, true
	}
	if len(v.Shape) != 4 {
		return nil, false
	}
	var first *ir.Tensor
	for i, b := range w.list {
		t := constantUnder(v, b, map[*ir.Value]*ir.Tensor{})
		if t == nil || t.Shape[2] != w.m || t.Shape[3] != w.m {
			return nil, false
		}
		one := ofOneImage(t, int64(len(w.tables[i]))/w.m)
		if one == nil || first != nil && !w.open && string(one.Data) != string(first.Data) {
			return nil, false
		}
		if first == nil {
			first = one
		}
	}
	if w.open {
		return v, true
	}
	return ir.ConstValue("", first), true
}

// ofOneImage is a mask for so many windows, or for all of them, of one for every image's; nil if they are not the same.
func ofOneImage(t *ir.Tensor, windows int64) *ir.Tensor {
	if t.Shape[0] == 1 || t.Shape[0] == windows {
		return t
	}
	if t.Shape[0]%windows != 0 {
		return nil
	}
	size := int64(len(t.Data)) / (t.Shape[0] / windows)
	for k := size; k < int64(len(t.Data)); k += size {
		if string(t.Data[k:k+size]) != string(t.Data[:size]) {
			return nil
		}
	}
	return &ir.Tensor{Elem: t.Elem, Shape: append([]int64{windows}, t.Shape[1:]...), Data: t.Data[:size]}
}

func (w *windowed) patch(end, mask *ir.Value, around []*ir.Value) *ir.Patch {
	p := ir.NewPatch(end.Def, w.lins[0], w.lins[1], w.lins[2], w.n, w.out)
	shape := w.image.Shape
	rows := sym.Const(w.counts[0])
	if w.open {
		rows = sym.Product(shape[1 : len(shape)-1])
	}
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
		in[i] = w.angle[i].turn(p.Emit1, in[i], w.attr.Heads, w.size[i])
	}
	table := w.table(p)
	if table == nil {
		return w.c.Miss(w.n, "windows", "the moves of an image of open size take its columns apart")
	}
	if w.open && mask != nil && mask.Shape[0] != table.Shape[0] && !mask.Shape[0].Is(1) {
		mask = p.Emit1(op.Slice, wholeBut(mask, 0, sym.Const(0), table.Shape[0]), mask)
	}
	operands := append(append(in[:], table, mask), around...)
	y := p.Emit1(op.WindowAttention, w.attr, operands...)
	y = p.Emit1(op.Linear, w.out.Attr, y, w.out.In[1], w.out.In[2], nil)
	return p.Replace(end, p.Emit1(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(end.Shape)}, y))
}

// turn is what cosine attention makes of rows [..., heads*d]; do makes a node's value.
func (a angle) turn(do func(o *ir.Op, attr any, in ...*ir.Value) *ir.Value, rows *ir.Value, heads, d int64) *ir.Value {
	if a == (angle{}) {
		return rows
	}
	whole := rows.Shape
	apart := append(append([]sym.Dim{}, whole[:len(whole)-1]...), sym.Const(heads), sym.Const(d))
	v := do(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(apart)}, rows)
	if a.norm != nil {
		v = do(op.L2Norm, a.norm.Attr, v)
	}
	if a.factor != nil {
		v = do(op.Mul, nil, v, a.factor)
	}
	return do(op.Reshape, op.ReshapeAttr{To: ir.MakeDims(whole)}, v)
}

// around is what the layers of keys and values make of the zeros around an image: their biases, and what cosine attention makes of those.
// None if no window reaches there.
func (w *windowed) around() (rows []*ir.Value, ok bool) {
	if !w.open && w.counts[0] == int64(len(w.tables[0])) || w.open && !filledUp(w.lins[0].In[0]) {
		return nil, true
	}
	for i := 1; i < len(w.lins); i++ {
		weights, bias := w.lins[i].In[1], w.lins[i].In[2]
		if c := w.parts[i]; c != nil {
			weights, bias = c.w, c.bias
		}
		if bias == nil {
			bias = filled(weights.Const.Shape[1], 0)
		}
		if bias.Const == nil {
			return nil, false
		}
		row := w.angle[i].turn(folded, bias, w.attr.Heads, w.size[i])
		if row == nil {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, true
}
