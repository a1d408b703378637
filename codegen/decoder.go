package codegen

import (
	"fmt"
	"strings"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// decoding is a decoder's ports: see rt.Decoding.
type decoding struct {
	ids, mask, positions, logits int
	past, present                []int
	axis                         int
	most                         int64
	total                        sym.Dim            // of caches that can stay in place: their length after a step
	inPlace                      map[*ir.Value]bool // the outputs that can
	ragged                       bool               // rows are written at places of each sequence's own
}

// findDecoding finds out from shapes and uses whether the graph is a decoder, and which port is what; nil if it is none. Token ids are
// numbers [batch, rows] that pick rows of a table; scores are [batch, rows, vocabulary] over the same rows; a cache grows by as many.
func findDecoding(g *ir.Graph) *decoding {
	d := &decoding{ids: -1, mask: -1, positions: -1, logits: -1}
	picks := tableRows(g)
	best := int64(0)
	for i, v := range g.Inputs {
		if rows := picks[v]; len(v.Shape) == 2 && v.Elem.Integer() && rows > best {
			d.ids, best = i, rows
		}
	}
	if d.ids < 0 {
		return nil
	}
	ids := g.Inputs[d.ids]
	d.pairCaches(g, ids)
	for i, v := range g.Outputs {
		if len(v.Shape) == 3 && v.Elem.String() == "f32" && d.logits < 0 && v.Shape[0] == ids.Shape[0] && v.Shape[1] == ids.Shape[1] {
			if n, ok := v.Shape[2].Const(); ok && n >= best {
				d.logits = i
			}
		}
	}
	if d.logits < 0 {
		return nil
	}
	for i, v := range g.Inputs {
		if i == d.ids || len(v.Shape) != 2 || v.Shape[0] != ids.Shape[0] || v.Elem.Float() {
			continue
		}
		switch {
		case v.Shape[1] == ids.Shape[1] && d.positions < 0 && (picks[v] > 0 || len(d.past) > 0):
			d.positions = i
		case d.mask < 0 && (v.Shape[1] == ids.Shape[1] || len(d.past) > 0):
			d.mask = i
		}
	}
	d.most = d.mostTokens(g, ids)
	d.ragged = len(d.present) > 0
	for _, k := range d.present {
		n := g.Outputs[k].Def
		d.ragged = d.ragged && n != nil && writesRows(n)
	}
	return d
}

// pairCaches finds inputs and outputs that differ in one axis, which the output has longer by the number of tokens.
func (d *decoding) pairCaches(g *ir.Graph, ids *ir.Value) {
	used, totals := map[int]bool{}, masked(g, ids)
	for i, v := range g.Inputs {
		if !v.Elem.Float() || len(v.Shape) < 3 {
			continue
		}
		for k, w := range g.Outputs {
			if axis := grows(v, w, ids.Shape[1], totals); axis > 0 && !used[k] && (len(d.past) == 0 || axis == d.axis) {
				used[k] = true
				d.past, d.present, d.axis = append(d.past, i), append(d.present, k), axis
				break
			}
		}
	}
}

// masked are the lengths of what may be masks: of past and new tokens together.
func masked(g *ir.Graph, ids *ir.Value) (totals []sym.Dim) {
	for _, v := range g.Inputs {
		if v.Elem.Integer() && len(v.Shape) == 2 && v.Shape[0] == ids.Shape[0] && v.Shape[1] != ids.Shape[1] {
			totals = append(totals, v.Shape[1])
		}
	}
	return totals
}

// grows is the axis along which w is longer than v by n, or is as long as a mask of all tokens where that is longer; 0 if there is none.
func grows(v, w *ir.Value, n sym.Dim, totals []sym.Dim) int {
	if v.Elem != w.Elem || len(v.Shape) != len(w.Shape) {
		return 0
	}
	axis := 0
	for a, s := range v.Shape {
		if s == w.Shape[a] {
			continue
		}
		if list := s.Symbols(); axis > 0 || a == 0 || len(list) != 1 || !sym.MayBeZero(list[0]) {
			return 0
		}
		axis = a
	}
	if axis == 0 || w.Shape[axis] == v.Shape[axis].Add(n) {
		return axis
	}
	for _, t := range totals {
		if w.Shape[axis] == v.Shape[axis].Max(t) {
			return axis
		}
	}
	return 0
}

// tableRows maps inputs that pick rows of constant tables, alone or after a conversion, to the most rows of such a table.
func tableRows(g *ir.Graph) map[*ir.Value]int64 {
	out := map[*ir.Value]int64{}
	note := func(table, index *ir.Value) {
		for index.Def != nil && len(index.Def.In) > 0 && (index.Def.Op == op.Cast || index.Def.Op == op.Reshape || index.Def.Op == op.Where || index.Def.Op == op.Add) {
			next := index.Def.In[0]
			if index.Def.Op == op.Where {
				next = index.Def.In[2]
			}
			index = next
		}
		if table.Const != nil && len(table.Shape) == 2 {
			out[index] = max(out[index], table.Const.Shape[0])
		}
	}
	for _, n := range g.Nodes {
		switch n.Op {
		case op.Gather:
			if n.Attr.(op.GatherAttr).Axis == 0 {
				note(n.In[0], n.In[1])
			}
		case op.Embedding:
			for i := 0; i+1 < len(n.In); i += 2 {
				note(n.In[i], n.In[i+1])
			}
		}
	}
	return out
}

// mostTokens is how many tokens the program's facts allow, if they say: a limit on the rows, alone or with the cache.
func (d *decoding) mostTokens(g *ir.Graph, ids *ir.Value) int64 {
	total := ids.Shape[1]
	if len(d.past) > 0 {
		total = total.Add(g.Inputs[d.past[0]].Shape[d.axis])
	}
	most := int64(0)
	for _, r := range g.Requires {
		n, ok := r.Large.Const()
		if ok && (r.Small == total || r.Small == ids.Shape[1]) && (most == 0 || n < most) {
			most = n
		}
	}
	return most
}

// room stands in strides for the length that caches have room for: s.Room in the emitted program.
var room = sym.Sym("room")

// keepCaches finds out whether the caches can stay in place: whether every one is its input with new rows behind, or with room behind and new
// rows at places of their own, all of one length, and nobody but attention, which takes strides, reads them. Their rows then have the
// strides of a longer cache.
func (l *lowering) keepCaches() {
	d := l.p.decoding
	if d == nil || len(d.past) == 0 {
		return
	}
	total := l.g.Outputs[d.present[0]].Shape[d.axis]
	keep := map[*ir.Value]bool{}
	for k, i := range d.past {
		in, out := l.g.Inputs[i], l.g.Outputs[d.present[k]]
		n := out.Def
		if n != nil && writesRows(n) && l.overwritten(n.In[0]) == out {
			n = n.In[0].Def
		}
		grown := n != nil && n.Op == op.Concat && n.Attr.(op.ConcatAttr).Axis == int64(d.axis) && len(n.In) == 2 && n.In[0] == in
		if !grown || len(l.users[in]) != 1 || l.outputs[in] || out.Shape[d.axis] != total || keep[out] || !l.strided(out) {
			return
		}
		keep[out] = true
	}
	d.total, d.inPlace = total, keep
}

// cache reports whether a value is a cache that can stay in place.
func (l *lowering) cache(v *ir.Value) bool { return l.p.decoding != nil && l.p.decoding.inPlace[v] }

// strided reports whether all that read a value, or a view of it, take strides.
func (l *lowering) strided(v *ir.Value) bool {
	for _, n := range l.users[v] {
		if n.Op != op.Attention && !(isMove(n) && l.strided(n.Out[0])) {
			return false
		}
	}
	return true
}

// defineCache allocates a cache that can stay in place: a slot of its own, of which a decoder can hold another copy.
func (l *lowering) defineCache(v *ir.Value) view {
	m := l.alloc(v)
	l.p.Buffers[m.Index].own, l.p.Buffers[m.Index].output = true, true
	long := append([]sym.Dim{}, v.Shape...)
	long[l.p.decoding.axis] = room
	l.views[v] = view{m, v.Shape, contiguous(m, long).strides}
	return l.views[v]
}

// source prints it as a literal. Caches in place stand in the slots of their outputs.
func (d *decoding) source(outputs []Mem) string {
	list := func(v []int) string {
		return "[]int{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ", "), "[]") + "}"
	}
	s := fmt.Sprintf("&rt.Decoding{IDs: %d, Mask: %d, Positions: %d, Logits: %d", d.ids, d.mask, d.positions, d.logits)
	if len(d.past) > 0 {
		s += fmt.Sprintf(", Past: %s, Present: %s, PastAxis: %d", list(d.past), list(d.present), d.axis)
	}
	if d.inPlace != nil {
		var slots []int
		for _, k := range d.present {
			slots = append(slots, outputs[k].Index)
		}
		s += ", Slots: " + list(slots)
	}
	if d.ragged {
		s += ", Ragged: true"
	}
	if d.most > 0 {
		s += fmt.Sprintf(", Most: %d", d.most)
	}
	return s + "}"
}
