package passes

import (
	"bytes"
	"fmt"
	"strings"

	"mmc/ir"
)

// CSE computes equal expressions once. Small constants with the same contents count as equal.
var CSE = Pass{"cse", "computes equal expressions once", cse}

// CSE2 is CSE again, after the fusions.
var CSE2 = Pass{"cse2", "cse, after the fusions", cse}

func cse(c *Context) error {
	t := &table{ids: map[*ir.Value]int{}, first: map[string]*ir.Node{}, consts: map[string]*ir.Value{}}
	sub := map[*ir.Value]*ir.Value{}
	var kept []*ir.Node
	for _, n := range c.Graph.Nodes {
		for i, v := range n.In {
			if v == nil {
				continue
			}
			if r := sub[v]; r != nil {
				v = r
			}
			n.In[i] = t.constant(v)
		}
		key := t.key(n)
		first := t.first[key]
		if first == nil || c.definesOutput(n) {
			t.first[key] = n
			kept = append(kept, n)
			continue
		}
		for i, v := range n.Out {
			sub[v] = first.Out[i]
		}
	}
	c.Graph.Nodes = kept
	return nil
}

func (c *Context) definesOutput(n *ir.Node) bool {
	for _, v := range n.Out {
		if c.isOutput(v) {
			return true
		}
	}
	return false
}

type table struct {
	ids    map[*ir.Value]int
	first  map[string]*ir.Node
	consts map[string]*ir.Value
}

// constant is the first constant with these contents, if it is small enough to compare.
func (t *table) constant(v *ir.Value) *ir.Value {
	if v.Const == nil || v.Const.Len() > 64 {
		return v
	}
	var key bytes.Buffer
	fmt.Fprint(&key, v.Elem, v.Const.Shape)
	key.Write(v.Const.Data)
	if w := t.consts[key.String()]; w != nil {
		return w
	}
	t.consts[key.String()] = v
	return v
}

func (t *table) key(n *ir.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %#v", n.Op.Name, n.Attr)
	for _, v := range n.In {
		id := -1
		if v != nil {
			var ok bool
			if id, ok = t.ids[v]; !ok {
				id = len(t.ids)
				t.ids[v] = id
			}
		}
		fmt.Fprintf(&b, " %d", id)
	}
	return b.String()
}
