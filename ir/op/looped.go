package op

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// looped is a loop being read as one that is left in the program: its body is read twice, first to see what changes.
type looped struct {
	*builder
	body  func([]*ir.Value) ([]*ir.Value, error)
	input func(vars []*ir.Value) []*ir.Value // what the body reads, made of the values it passes on
	skip  int                                // so many results of the body come before the values it passes on
	trips sym.Dim
	i     sym.Dim // the iteration's number
	vars  []*ir.Value
	next  []change // of each of vars
	start mark     // when reading began
}

// mark is how much there is of a graph: what is read after it may be taken back.
type mark struct{ nodes, requires int }

func markOf(g *ir.Graph) mark { return mark{len(g.Nodes), len(g.Requires)} }

func (m mark) restore(g *ir.Graph) { g.Nodes, g.Requires = g.Nodes[:m.nodes], g.Requires[:m.requires] }

// change is what a body does to a value that it passes on.
type change struct {
	stays bool      // as it is
	grows []sym.Dim // integers: by so much in each iteration; nil for all else
}

func newLooped(c *ir.Import, trips sym.Dim, vars []*ir.Value) (*looped, error) {
	for _, v := range vars {
		if v == nil || v.Sequence {
			return nil, ir.NotSupported("sequences or missing values in a loop whose number of iterations is not known")
		}
	}
	if c.Graph.Trips == nil {
		c.Graph.Trips = map[string]sym.Dim{}
	}
	i := sym.Sym(fmt.Sprintf("zi%d", len(c.Graph.Trips)))
	c.Graph.Trips[i.String()] = trips
	return &looped{builder: &builder{c: c}, trips: trips, i: i, vars: vars, next: make([]change, len(vars)), start: markOf(c.Graph)}, nil
}

// taken removes the nodes that were read since the loop began from the graph: they are the body's.
func (l *looped) taken() []*ir.Node {
	g := l.c.Graph
	nodes := slices.Clone(g.Nodes[l.start.nodes:])
	g.Nodes = g.Nodes[:l.start.nodes]
	return nodes
}

// integers is a value in the type and shape of another whose contents are those dims.
func (l *looped) integers(like *ir.Value, ds []sym.Dim) *ir.Value {
	return l.reshape(l.do(Dims, DimsAttr{List: ir.MakeDims(ds), To: like.Elem}), like.Shape)
}

// after are the contents of a growing value after so many iterations.
func (l *looped) after(k int, n sym.Dim) []sym.Dim {
	var out []sym.Dim
	for j, d := range l.vars[k].Contents() {
		out = append(out, d.Add(n.Mul(l.next[k].grows[j])))
	}
	return out
}

// read reads the body in place of the values in, and wants a result for each of vars at least.
func (l *looped) read(vars []*ir.Value) ([]*ir.Value, error) {
	in := l.input(vars)
	if l.err != nil {
		return nil, l.err
	}
	out, err := l.body(in)
	if err != nil {
		return nil, l.outside(err)
	}
	if len(out) < l.skip+len(vars) {
		return nil, fmt.Errorf("a body of %d results for %d values", len(out), len(vars))
	}
	for _, v := range out {
		if v.Sequence {
			return nil, ir.NotSupported("sequences in a loop whose number of iterations is not known")
		}
	}
	return out, nil
}

// outside turns a fact about symbols of this loop, which nobody else knows, into what it means: a shape or size that is not the same in
// each iteration.
func (l *looped) outside(err error) error {
	var u *ir.Unify
	if errors.As(err, &u) && (l.own(u.Sym) || slices.ContainsFunc(u.To.Symbols(), l.own)) {
		return ir.NotSupported("a loop whose number of iterations is not known, with sizes that change: %v", u)
	}
	return err
}

func (l *looped) own(symbol string) bool {
	return symbol == l.i.String() || strings.HasPrefix(symbol, l.i.String()+"_")
}

// look reads the body to find what stays as it is, and integers that grow by the same numbers in each iteration.
func (l *looped) look() error {
	vars := make([]*ir.Value, len(l.vars))
	for k, v := range l.vars {
		vars[k] = &ir.Value{Elem: v.Elem, Shape: v.Shape}
		if n := len(v.Contents()); v.Elem.Integer() && n > 0 && n <= 8 {
			for j := range n {
				vars[k].Dims = append(vars[k].Dims, sym.Sym(fmt.Sprintf("%v_%d_%d", l.i, k, j)))
			}
		}
	}
	out, err := l.read(vars)
	l.start.restore(l.c.Graph)
	if err != nil {
		return err
	}
	for k, v := range vars {
		next := out[l.skip+k]
		if l.next[k].stays = next == v; next == v || v.Dims == nil || len(next.Contents()) != len(v.Dims) || next.Elem != v.Elem {
			continue
		}
		var grows []sym.Dim
		for j, d := range next.Contents() {
			step := d.Sub(v.Dims[j])
			if slices.ContainsFunc(step.Symbols(), l.own) {
				break
			}
			grows = append(grows, step)
		}
		if len(grows) == len(v.Dims) {
			l.next[k].grows = grows
		}
	}
	return nil
}

// inside are what the body reads for the values that it passes on: itself for what stays, numbers for what grows, new values for the others.
func (l *looped) inside() []*ir.Value {
	vars := make([]*ir.Value, len(l.vars))
	for k, v := range l.vars {
		switch {
		case l.next[k].stays:
			vars[k] = v
		case l.next[k].grows != nil:
			vars[k] = l.integers(v, l.after(k, l.i))
		default:
			vars[k] = &ir.Value{Elem: v.Elem, Shape: v.Shape}
		}
	}
	return vars
}

// run, after look, reads the body as the graph of a Loop, and gives what vars are at the end and what was collected. again makes of the body's
// results, in the body, a condition for the next iteration, and first is the one for the first; nil if nothing ends the loop early.
func (l *looped) run(first *ir.Value, again func(out []*ir.Value) *ir.Value) (last, collected []*ir.Value, err error) {
	vars := l.inside()
	out, err := l.read(vars)
	if err != nil {
		return nil, nil, err
	}
	cond := again(out)
	if l.err != nil {
		return nil, nil, l.err
	}
	b := l.states(vars, out, first, cond)
	nodes := l.hoisted(l.taken(), b.in)
	if l.err != nil {
		return nil, nil, l.err
	}
	for _, r := range l.c.Graph.Requires[l.start.requires:] {
		if slices.ContainsFunc(append(r.Small.Symbols(), r.Large.Symbols()...), l.own) {
			return nil, nil, ir.NotSupported("a loop whose number of iterations is not known, with sizes that change")
		}
	}
	if err := errors.Join(l.steady(nodes), sameShapes(b.args, b.out)); err != nil {
		return nil, nil, err
	}
	b.attr.Body = &ir.Graph{Inputs: b.in, Outputs: append(b.out, out[l.skip+len(vars):]...), Nodes: nodes, Words: l.c.Graph.Words, Hints: l.c.Graph.Hints}
	b.attr.Body.OutNames = make([]string, len(b.attr.Body.Outputs))
	b.args = append(b.args, capture(b.attr.Body)...)
	res, err := l.c.Emit(Loop, b.attr, b.args...)
	if err != nil {
		return nil, nil, l.outside(err)
	}
	for k, v := range l.vars {
		switch {
		case b.place[k] >= 0:
			v = res[b.place[k]]
		case l.next[k].grows != nil:
			v = l.integers(v, l.after(k, l.trips))
		}
		last = append(last, v)
	}
	return last, res[len(b.out):], l.err
}

// parts are the states of a Loop being made: its arguments, its body's inputs and outputs, and where among them each variable is, or -1.
type parts struct {
	attr          LoopAttr
	args, in, out []*ir.Value
	place         []int
}

// states are what changes. If a condition ends the loop, so is what grows, as nobody knows by how much in the end.
func (l *looped) states(vars, out []*ir.Value, first, cond *ir.Value) *parts {
	b := &parts{attr: LoopAttr{Var: l.i.String(), Trips: ir.MakeDims([]sym.Dim{l.trips}), While: cond != nil}}
	add := func(arg, in, out *ir.Value) {
		b.args, b.in, b.out = append(b.args, arg), append(b.in, in), append(b.out, out)
	}
	if cond != nil {
		add(first, &ir.Value{Elem: loop.Bool}, cond)
	}
	for k, v := range l.vars {
		b.place = append(b.place, -1)
		next := out[l.skip+k]
		switch {
		case l.next[k].stays, l.next[k].grows != nil && cond == nil:
			continue
		case l.next[k].grows != nil:
			next = l.integers(v, l.after(k, l.i.Add(sym.Const(1))))
		}
		b.place[k] = len(b.in)
		in := vars[k]
		if l.next[k].grows != nil {
			in = &ir.Value{Elem: v.Elem, Shape: v.Shape}
		}
		add(v, in, next)
	}
	b.attr.States = int64(len(b.in))
	return b
}

// hoisted leaves nodes that are the same in each iteration to the graph around the loop, and gives the others.
func (l *looped) hoisted(nodes []*ir.Node, states []*ir.Value) []*ir.Node {
	inside := map[*ir.Value]bool{}
	for _, v := range states {
		inside[v] = true
	}
	var rest []*ir.Node
	for _, n := range nodes {
		moves := n.Op == Dims || n.Op.Body != nil || slices.ContainsFunc(strings.FieldsFunc(ir.AttrText(n.Attr), notInName), l.own)
		for _, v := range n.In {
			moves = moves || inside[v]
		}
		if !moves {
			l.c.Graph.Nodes = append(l.c.Graph.Nodes, n)
			continue
		}
		rest = append(rest, n)
		for _, v := range n.Out {
			inside[v] = true
		}
	}
	return rest
}

// sameShapes refuses states of which an axis is a number first and then a symbol, or the other way around: one of size 1 that an iteration
// broadcasts, most likely, rather than a symbol that is that number.
func sameShapes(first, next []*ir.Value) error {
	for k, v := range next {
		for i, d := range v.Shape {
			if i >= len(first[k].Shape) || d == first[k].Shape[i] {
				continue
			}
			_, fixed := d.Const()
			if _, was := first[k].Shape[i].Const(); fixed || was {
				return ir.NotSupported("a loop whose number of iterations is not known, with a value of shape %v that becomes %v", first[k].Shape, v.Shape)
			}
		}
	}
	return nil
}

// notInName cuts texts into the symbols in them.
func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// steady refuses nodes whose results have sizes that change from one iteration to the next, or follow data.
func (l *looped) steady(nodes []*ir.Node) error {
	for _, n := range nodes {
		if n.Op.Plain != nil && n.Op.Plain(n).Count != "" {
			return ir.NotSupported("%s in a loop whose number of iterations is not known", n.Op.Name)
		}
		for _, v := range n.Out {
			for _, d := range v.Shape {
				if slices.ContainsFunc(d.Symbols(), l.own) {
					return ir.NotSupported("a loop whose number of iterations is not known, with a size of %v in it", d)
				}
			}
		}
	}
	return nil
}

// capture gives a body an input for each value of the graph around it that it reads, and gives these.
func capture(g *ir.Graph) []*ir.Value {
	inside := map[*ir.Value]*ir.Value{}
	for _, v := range g.Inputs {
		inside[v] = v
	}
	var outer []*ir.Value
	replace := func(vs []*ir.Value) {
		for i, v := range vs {
			if v == nil || v.Const != nil {
				continue
			}
			if inside[v] == nil {
				inside[v] = &ir.Value{Name: v.Name, Elem: v.Elem, Shape: v.Shape, Dims: v.Dims}
				g.Inputs, outer = append(g.Inputs, inside[v]), append(outer, v)
			}
			vs[i] = inside[v]
		}
	}
	for _, n := range g.Nodes {
		replace(n.In)
		for _, v := range n.Out {
			inside[v] = v
		}
	}
	replace(g.Outputs)
	return outer
}

// goesOn reports whether a condition surely holds as long as so many iterations, one at least, are left.
func goesOn(v *ir.Value, left sym.Dim) bool {
	if c, ok := constantOf(v); ok {
		return c != 0
	}
	if v.Def == nil {
		return false
	}
	surely := func(d sym.Dim) bool { // d - left >= 0
		lo, _ := d.Sub(left).Bounds()
		return lo >= 0
	}
	difference := func(n *ir.Node) (sym.Dim, bool) { // of the second and the first operand
		a, b := n.In[0].Contents(), n.In[1].Contents()
		if len(a) != 1 || len(b) != 1 {
			return sym.Dim{}, false
		}
		return b[0].Sub(a[0]), true
	}
	switch n := v.Def; n.Op {
	case And:
		return goesOn(n.In[0], left) && goesOn(n.In[1], left)
	case Reshape:
		return goesOn(n.In[0], left)
	case Less:
		d, ok := difference(n)
		return ok && surely(d)
	case LessOrEqual:
		d, ok := difference(n)
		return ok && surely(d.Add(sym.Const(1)))
	case Not:
		m := n.In[0].Def
		if m == nil || m.Op != Less && m.Op != LessOrEqual {
			return false
		}
		d, ok := difference(m)
		if m.Op == Less { // b <= a
			return ok && surely(sym.Const(1).Sub(d))
		}
		return ok && surely(sym.Const(0).Sub(d))
	}
	return false
}
