package passes

import (
	"mmc/ir"
	"mmc/ir/op"
)

// DeadCode removes nodes that no output depends on.
var DeadCode = Pass{"deadcode", "removes nodes that no output depends on", deadCode}

// DeadCode2 is DeadCode again, at the end.
var DeadCode2 = Pass{"deadcode2", "deadcode, at the end", deadCode}

func deadCode(c *Context) error {
	live := map[*ir.Value]bool{}
	for _, v := range c.Graph.Outputs {
		live[v] = true
	}
	nodes := c.Graph.Nodes
	var kept []*ir.Node
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if !anyLive(live, n.Out) {
			continue
		}
		if n.Op.Body != nil {
			narrowLoop(n)
		}
		for _, v := range n.In {
			live[v] = true
		}
		kept = append(kept, n)
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	c.Graph.Nodes = kept
	return nil
}

// narrowLoop takes what a loop's body does not read away from its inputs, and constants into it. States stay.
func narrowLoop(n *ir.Node) {
	body, states := n.Op.Body(n), int(n.Attr.(op.LoopAttr).States)
	read, constant := map[*ir.Value]bool{}, map[*ir.Value]*ir.Value{}
	for i, v := range body.Inputs {
		if i >= states && n.In[i].Const != nil {
			constant[v] = n.In[i]
		}
	}
	take := func(vs []*ir.Value) {
		for i, v := range vs {
			if c := constant[v]; c != nil {
				vs[i] = c
			}
			read[vs[i]] = true
		}
	}
	for _, m := range body.Nodes {
		take(m.In)
	}
	take(body.Outputs)
	outer, inner := n.In[:states:states], body.Inputs[:states:states]
	for i, v := range body.Inputs[states:] {
		if read[v] {
			outer, inner = append(outer, n.In[states+i]), append(inner, v)
		}
	}
	n.In, body.Inputs = outer, inner
}

func anyLive(live map[*ir.Value]bool, vs []*ir.Value) bool {
	for _, v := range vs {
		if live[v] {
			return true
		}
	}
	return false
}
