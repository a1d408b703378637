package passes

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// Parts computes elementwise operators of a concatenation part by part, before the concatenation: each part is then written where it
// belongs, and nothing is moved. Rotary position embeddings (Su et al., 2021), which turn one half of each head by the other, become
// two kernels without a copy; so do the positions added behind a class token.
var Parts = Rewrite("parts", "computes the parts of concatenations where they belong",
	Rule{"rotary", func() *ir.Op { return op.Add }, rotary},
	Rule{"parts", nil, partByPart})

func rotary(c *Context, n *ir.Node) *ir.Patch {
	if j := turned(n); j != nil {
		return c.split(n, j)
	}
	return nil
}

// turned is the concatenation in x c + concat(-x2, x1) s, x1 and x2 parts of x; nil if n is something else.
func turned(n *ir.Node) *ir.Node {
	if n == nil || n.Op != op.Add {
		return nil
	}
	for _, o := range operands(n) {
		straight, across := by(o[0], op.Mul), by(o[1], op.Mul)
		if straight == nil || across == nil {
			continue
		}
		for _, t := range operands(across) {
			j := by(t[0], op.Concat)
			if j == nil || len(j.In) != 2 {
				continue
			}
			neg, first := by(j.In[0], op.Neg), by(j.In[1], op.Slice)
			if neg == nil || first == nil || by(neg.In[0], op.Slice) == nil {
				continue
			}
			if x := first.In[0]; neg.In[0].Def.In[0] == x && contains(straight.In, x) {
				return j
			}
		}
	}
	return nil
}

func partByPart(c *Context, n *ir.Node) *ir.Patch {
	if n.Op.Elem == nil || turned(c.Only(n.Out[0])) != nil {
		return nil
	}
	for _, v := range n.In {
		if j := by(v, op.Concat); j != nil {
			if p := c.split(n, j); p != nil {
				return p
			}
		}
	}
	return nil
}

// maxParts bounds how many kernels one becomes.
const maxParts = 4

// split is the patch that computes the elementwise tree that ends at n part by part, as the concatenation j within it is made.
func (c *Context) split(n, j *ir.Node) *ir.Patch {
	out, axis := n.Out[0], int(j.Attr.(op.ConcatAttr).Axis)
	if out.Elem != loop.F32 || len(j.In) > maxParts || !ir.SameShape(j.Out[0].Shape, out.Shape) || c.Only(j.Out[0]) == nil {
		return nil
	}
	if out.Shape[axis].Is(1) { // all parts but one are empty, and one entry would look as if it were for all
		return nil
	}
	s := &splitting{c: c, p: ir.NewPatch(n), rank: len(out.Shape), axis: axis, parts: j.In}
	var made []*ir.Value
	for i := range j.In {
		y := s.node(n, i, 0)
		if y == nil {
			return nil
		}
		made = append(made, y)
		s.at = s.at.Add(j.In[i].Shape[axis])
	}
	return s.p.Replace(out, s.p.Emit1(op.Concat, op.ConcatAttr{Axis: int64(axis)}, made...))
}

// splitting is a tree of elementwise operators being computed part by part: parts of an axis, of which one begins at at.
type splitting struct {
	c          *Context
	p          *ir.Patch
	rank, axis int
	parts      []*ir.Value
	at         sym.Dim
}

// maxDepth bounds the trees that are looked through.
const maxDepth = 8

// node is part i of what an elementwise node makes; nil if it cannot be told.
func (s *splitting) node(n *ir.Node, i, depth int) *ir.Value {
	in := make([]*ir.Value, len(n.In))
	for k, v := range n.In {
		if in[k] = s.value(v, i, depth+1); in[k] == nil {
			return nil
		}
	}
	return s.p.Emit1(n.Op, n.Attr, in...)
}

// value is part i of an operand.
func (s *splitting) value(v *ir.Value, i, depth int) *ir.Value {
	a := s.axis - s.rank + len(v.Shape)
	if a < 0 || v.Shape[a].Is(1) {
		return v
	}
	if s.c.Only(v) != nil && v.Def != nil && depth < maxDepth {
		if s.sameParts(v.Def, a) {
			return v.Def.In[i]
		}
		if v.Def.Op.Elem != nil {
			return s.node(v.Def, i, depth)
		}
	}
	attr := wholeBut(v, a, s.at, s.parts[i].Shape[s.axis])
	if v.Const != nil {
		if f := folded(op.Slice, attr, v); f != nil {
			return f
		}
	}
	return s.p.Emit1(op.Slice, attr, v)
}

// sameParts reports whether a node puts parts of the same sizes together.
func (s *splitting) sameParts(n *ir.Node, axis int) bool {
	if n.Op != op.Concat || int(n.Attr.(op.ConcatAttr).Axis) != axis || len(n.In) != len(s.parts) {
		return false
	}
	for i, v := range n.In {
		if v.Shape[axis] != s.parts[i].Shape[s.axis] {
			return false
		}
	}
	return true
}

// wholeBut is a slice of some entries of one axis.
func wholeBut(v *ir.Value, axis int, at, size sym.Dim) op.SliceAttr {
	starts, steps := make([]sym.Dim, len(v.Shape)), make([]int64, len(v.Shape))
	for i := range starts {
		starts[i], steps[i] = sym.Const(0), 1
	}
	sizes := append([]sym.Dim{}, v.Shape...)
	starts[axis], sizes[axis] = at, size
	return op.SliceAttr{Starts: ir.MakeDims(starts), Sizes: ir.MakeDims(sizes), Steps: ir.MakeInts(steps...)}
}
