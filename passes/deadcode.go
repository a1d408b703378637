package passes

import "mmc/ir"

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

func anyLive(live map[*ir.Value]bool, vs []*ir.Value) bool {
	for _, v := range vs {
		if live[v] {
			return true
		}
	}
	return false
}
