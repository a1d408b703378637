package onnx

import "mmc/frontend/onnx/onnxpb"

// inOrder gives the nodes of a list so that each comes after those whose outputs it reads, and where the list is so already, as the
// specification wants it ("Graphs"), the list's own order. Converters write models that are not, and other runtimes read them. Nodes
// that read each other's outputs stay as they are.
func inOrder(list []*onnxpb.NodeProto, s *scope) []int {
	by := map[string]int{}
	for i, n := range list {
		for _, o := range n.Output {
			if _, twice := by[o]; !twice && o != "" {
				by[o] = i
			}
		}
	}
	order, met := make([]int, 0, len(list)), make([]bool, len(list))
	type visit struct {
		node  int
		reads []string
	}
	for i := range list {
		if met[i] {
			continue
		}
		met[i] = true
		for open := []visit{{i, reads(list[i])}}; len(open) > 0; {
			v := &open[len(open)-1]
			if len(v.reads) == 0 {
				order = append(order, v.node)
				open = open[:len(open)-1]
				continue
			}
			name := v.reads[0]
			v.reads = v.reads[1:]
			if p, ok := by[name]; ok && !met[p] && s.lookup(name) == nil {
				met[p] = true
				open = append(open, visit{p, reads(list[p])})
			}
		}
	}
	return order
}

// reads are the names that a node reads, those within its graphs too.
func reads(n *onnxpb.NodeProto) []string {
	names := n.Input
	for _, a := range n.Attribute {
		for _, g := range append([]*onnxpb.GraphProto{a.G}, a.Graphs...) {
			if g == nil {
				continue
			}
			names = append([]string{}, names...)
			for _, inner := range g.Node {
				names = append(names, reads(inner)...)
			}
			for _, o := range g.Output {
				names = append(names, o.Name)
			}
		}
	}
	return names
}
