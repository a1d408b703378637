package ir

import "fmt"

// Patch is what a rewrite proposes: new nodes, and old values that new ones replace.
type Patch struct {
	root  *Node
	from  []string
	nodes []*Node
	old   []*Value
	new   []*Value
	err   error
}

// NewPatch starts a patch for the match whose last node is root. The new nodes carry the From of all matched nodes.
func NewPatch(root *Node, matched ...*Node) *Patch {
	p := &Patch{root: root}
	seen := map[string]bool{}
	for _, n := range append(matched, root) {
		for _, f := range n.From {
			if !seen[f] {
				seen[f] = true
				p.from = append(p.from, f)
			}
		}
	}
	return p
}

// Emit adds a node and returns its outputs.
func (p *Patch) Emit(op *Op, attr any, in ...*Value) []*Value {
	n, err := NewNode(op, attr, p.from, in...)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.nodes = append(p.nodes, n)
	return n.Out
}

// Emit1 is Emit for an operator of one output.
func (p *Patch) Emit1(op *Op, attr any, in ...*Value) *Value { return p.Emit(op, attr, in...)[0] }

// Replace makes every reader of old read new instead. Both must have the same type and shape.
func (p *Patch) Replace(old, new *Value) *Patch {
	p.old, p.new = append(p.old, old), append(p.new, new)
	return p
}

// Apply puts the patch's nodes where its root is, redirects readers and keeps dead nodes for the dead code pass.
func (g *Graph) Apply(p *Patch) error {
	if p.err != nil {
		return p.err
	}
	sub := map[*Value]*Value{}
	for i, old := range p.old {
		if old.Elem != p.new[i].Elem || !SameShape(old.Shape, p.new[i].Shape) {
			return fmt.Errorf("a patch replaces %v%v by %v%v", old.Elem, old.Shape, p.new[i].Elem, p.new[i].Shape)
		}
		if p.new[i].Name == "" {
			p.new[i].Name = old.Name
		}
		sub[old] = p.new[i]
	}
	at := g.index(p.root)
	if at < 0 {
		return fmt.Errorf("the root of a patch is not in the graph")
	}
	nodes := append([]*Node{}, g.Nodes[:at+1]...)
	nodes = append(append(nodes, p.nodes...), g.Nodes[at+1:]...)
	g.Nodes = nodes
	mine := map[*Node]bool{}
	for _, n := range p.nodes {
		mine[n] = true
	}
	for _, n := range g.Nodes {
		if !mine[n] {
			substitute(n.In, sub)
		}
	}
	substitute(g.Outputs, sub)
	return nil
}

func substitute(vs []*Value, sub map[*Value]*Value) {
	for i, v := range vs {
		if r := sub[v]; r != nil {
			vs[i] = r
		}
	}
}

func (g *Graph) index(n *Node) int {
	for i, m := range g.Nodes {
		if m == n {
			return i
		}
	}
	return -1
}
