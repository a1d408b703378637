package ir

import "fmt"

// Verify checks that every value has one definition before its uses, that nodes infer again to the types and shapes they
// carry, and that outputs exist.
func (g *Graph) Verify() error {
	seen := map[*Value]bool{}
	for _, v := range g.Inputs {
		if v.Def != nil || v.Const != nil || seen[v] {
			return fmt.Errorf("input %q has another definition", v.Name)
		}
		seen[v] = true
	}
	for i, n := range g.Nodes {
		if err := n.verify(seen); err != nil {
			return fmt.Errorf("node %d, %s (%v): %w", i, n.Op.Name, n.From, err)
		}
	}
	for i, v := range g.Outputs {
		if v == nil || v.Const == nil && !seen[v] {
			return fmt.Errorf("output %d is not defined", i)
		}
	}
	return nil
}

func (n *Node) verify(seen map[*Value]bool) error {
	for i, v := range n.In {
		if v != nil && v.Const == nil && !seen[v] {
			return fmt.Errorf("input %d is used before its definition", i)
		}
	}
	if n.Op.Body != nil {
		if err := n.Op.Body(n).Verify(); err != nil {
			return err
		}
	}
	again, err := NewNode(n.Op, n.Attr, n.From, n.In...)
	if err != nil {
		return err
	}
	if len(again.Out) != len(n.Out) {
		return fmt.Errorf("%d outputs, want %d", len(n.Out), len(again.Out))
	}
	for i, v := range n.Out {
		w := again.Out[i]
		if v.Elem != w.Elem || !SameShape(v.Shape, w.Shape) {
			return fmt.Errorf("output %d is %s, infers as %s", i, typeText(v), typeText(w))
		}
		if v.Def != n || seen[v] {
			return fmt.Errorf("output %d has two definitions", i)
		}
		seen[v] = true
	}
	return nil
}
