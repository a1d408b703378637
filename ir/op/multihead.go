package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// com.microsoft's attention operators, as ONNX Runtime's optimiser and model builder write them.
func init() {
	ir.FromONNX("com.microsoft", "Attention", 1, readPackedAttention)
	ir.FromONNX("com.microsoft", "MultiHeadAttention", 1, readMultiHead)
	ir.FromONNX("com.microsoft", "GroupQueryAttention", 1, readGroupQuery)
}

// readPackedAttention: input, weights [in, q+k+v], bias, mask, past [2, batch, heads, past, size], a bias of the scores.
func readPackedAttention(c *ir.Import) error {
	b := &builder{c: c}
	x, w := b.need(0), b.need(1)
	heads := c.Int("num_heads", 0)
	if b.err != nil {
		return b.err
	}
	if heads < 1 || len(x.Shape) != 3 || len(w.Shape) != 2 || c.Int("do_rotary", 0) != 0 {
		return ir.NotSupported("Attention with %d heads, an input of rank %d, or a rotation", heads, len(x.Shape))
	}
	return b.packed(b.do(MatMul, nil, x, w), w.Shape[1], heads, packedInputs{bias: 2, mask: 3, past: 4, scores: 5})
}

// packedInputs are the numbers of an attention's inputs: the bias of queries, keys and values, the mask, the cache and a bias of the scores.
type packedInputs struct{ bias, mask, past, scores int }

// packed is attention with queries, keys and values side by side, y [batch, rows, width].
func (b *builder) packed(y *ir.Value, width sym.Dim, heads int64, in packedInputs) error {
	c := b.c
	if bias := c.Value(in.bias); bias != nil {
		y = b.add(y, bias)
	}
	sizes, ok := c.Ints("qkv_hidden_sizes")
	if third, whole := width.Div(sym.Const(3)); !ok {
		n, known := third.Const()
		if !whole || !known {
			return ir.NotSupported("Attention with weights of %v columns", width)
		}
		sizes = []int64{n, n, n}
	}
	if len(sizes) != 3 {
		return fmt.Errorf("%d hidden sizes", len(sizes))
	}
	var parts [3]*ir.Value
	at := int64(0)
	for i, n := range sizes {
		parts[i] = b.heads(b.slice(y, 2, sym.Const(at), sym.Const(n)), heads)
		at += n
	}
	a := attend{q: parts[0], k: parts[1], v: parts[2], scale: c.Float("scale", 0), causal: c.Int("unidirectional", 0) != 0, scores: -1, before: sym.Const(0)}
	if past := c.Value(in.past); past != nil {
		if len(past.Shape) != 5 {
			return fmt.Errorf("a cache of rank %d", len(past.Shape))
		}
		half := func(i int64) *ir.Value {
			return b.reshape(b.slice(past, 0, sym.Const(i), sym.Const(1)), past.Shape[1:])
		}
		a.k, a.v, a.before = b.after(half(0), a.k), b.after(half(1), a.v), past.Shape[3]
	}
	if b.err != nil {
		return b.err
	}
	a.mask = b.scoreMask(c.Value(in.mask), c.Value(in.scores), a.k.Shape[0], a.k.Shape[2])
	out, _ := b.attend(a)
	if c.NumOut < 2 {
		return b.done(b.joined(out))
	}
	wide := func(v *ir.Value) *ir.Value { return b.reshape(v, dims(1, v.Shape)) }
	return b.done(b.joined(out), b.concat(0, wide(a.k), wide(a.v)))
}

// scoreMask is what is added to the scores: a bias, and a large negative number where the mask says so. The mask is 0 or 1 for each key,
// [batch, keys] or [batch, rows, keys], or the number of keys that count, [batch].
func (b *builder) scoreMask(mask, bias *ir.Value, batch, keys sym.Dim) *ir.Value {
	if mask == nil || b.err != nil {
		return bias
	}
	seen := b.cast(mask, loop.Bool)
	switch len(mask.Shape) {
	case 1:
		if mask.Shape[0] != batch {
			return b.fail(ir.NotSupported("a mask of shape %v for %v sequences", mask.Shape, batch))
		}
		seen = b.do(Less, nil, b.reshape(b.iota(0, keys), dims(1, keys)), b.reshape(b.cast(mask, loop.I64), dims(batch, 1)))
		seen = b.reshape(seen, dims(batch, 1, 1, keys))
	case 2:
		seen = b.reshape(seen, dims(mask.Shape[0], 1, 1, mask.Shape[1]))
	case 3:
		seen = b.reshape(seen, dims(mask.Shape[0], 1, mask.Shape[1:]))
	case 4:
	default:
		return b.fail(ir.NotSupported("a mask of rank %d", len(mask.Shape)))
	}
	add := b.do(Where, nil, seen, b.scalar(0), b.scalar(float64(b.c.Float("mask_filter_value", -10000))))
	if bias == nil {
		return add
	}
	return b.add(add, bias)
}

// readMultiHead: query, key, value, bias of all three, key padding mask, bias of the scores, past key, past value. Query may hold all
// three, [batch, rows, heads, 3, size], and key the values too, [batch, keys, heads, 2, size]; keys and values may come as heads.
func readMultiHead(c *ir.Import) error {
	b := &builder{c: c}
	q, k, v := b.need(0), c.Value(1), c.Value(2)
	heads := c.Int("num_heads", 0)
	if b.err != nil {
		return b.err
	}
	unpack := func(x *ir.Value, n int64) []*ir.Value {
		out := make([]*ir.Value, n)
		for i := range n {
			part := b.slice(x, 3, sym.Const(i), sym.Const(1))
			out[i] = b.reshape(part, dims(x.Shape[:2], x.Shape[2].Mul(x.Shape[4])))
		}
		return out
	}
	if len(q.Shape) == 5 {
		all := unpack(q, 3)
		q, k, v = all[0], all[1], all[2]
	} else if k != nil && len(k.Shape) == 5 {
		both := unpack(k, 2)
		k, v = both[0], both[1]
	}
	if b.err != nil || k == nil || v == nil || heads < 1 || len(q.Shape) != 3 {
		return orElse(b.err, ir.NotSupported("MultiHeadAttention with %d heads and a query of rank %d", heads, len(shapeOf(q))))
	}
	if bias := c.Value(3); bias != nil {
		at := sym.Const(0)
		for _, x := range []**ir.Value{&q, &k, &v} {
			if len((*x).Shape) != 3 {
				return ir.NotSupported("MultiHeadAttention with a bias of keys that come as heads")
			}
			n := (*x).Shape[2]
			*x = b.add(*x, b.slice(bias, 0, at, n))
			at = at.Add(n)
			if b.err != nil {
				return b.err
			}
		}
	}
	a := attend{q: b.heads(q, heads), k: b.heads(k, heads), v: b.heads(v, heads), scale: c.Float("scale", 0),
		causal: c.Int("unidirectional", 0) != 0, before: sym.Const(0), scores: -1}
	if past := c.Value(6); past != nil && len(past.Shape) == 4 {
		a.before = past.Shape[2]
	}
	a.k, a.v = b.after(c.Value(6), a.k), b.after(c.Value(7), a.v)
	if b.err != nil {
		return b.err
	}
	a.mask = b.scoreMask(c.Value(4), c.Value(5), a.k.Shape[0], a.k.Shape[2])
	if c.NumOut > 3 {
		a.scores = 0
	}
	y, scores := b.attend(a)
	return b.done(b.joined(y), a.k, a.v, scores)
}

// groupQuery is GroupQueryAttention being read.
type groupQuery struct {
	*builder
	q, k, v *ir.Value // by heads
	start   *ir.Value // [batch, 1, 1, 1]: where the new rows begin among the keys
}

// groupLimits refuses what readGroupQuery does not read.
func groupLimits(c *ir.Import, x *ir.Value, heads, kv int64) error {
	switch {
	case heads < 1 || kv < 1 || len(x.Shape) != 3:
		return ir.NotSupported("GroupQueryAttention with %d and %d heads and an input of rank %d", heads, kv, len(x.Shape))
	case c.Value(12) != nil || c.Value(13) != nil:
		return ir.NotSupported("GroupQueryAttention with a quantised cache")
	case c.Value(14) != nil || c.Value(15) != nil:
		return ir.NotSupported("GroupQueryAttention that normalises queries and keys")
	case c.Value(16) != nil:
		return ir.NotSupported("GroupQueryAttention of padded queries")
	case c.Int("qk_output", 0) != 0:
		return ir.NotSupported("GroupQueryAttention that gives its scores")
	case c.Int("sliding_window_cache", 0) != 0 && (c.Int("local_window_size", 0) < 1 || c.Value(3) == nil || c.Value(10) != nil):
		return ir.NotSupported("GroupQueryAttention with a cache of a window, but without a window or a cache, or with a bias")
	}
	return nil
}

// readGroupQuery: query (or all three packed), key, value, past key, past value, the last valid place of each sequence, the number of
// keys in all, cosines and sines, places, a bias of the scores, the heads' sinks. New keys and values are written behind the valid ones of each
// sequence (Ainslie et al., 2023).
func readGroupQuery(c *ir.Import) error {
	b := &builder{c: c}
	g := &groupQuery{builder: b}
	heads, kv := c.Int("num_heads", 0), c.Int("kv_num_heads", 0)
	x, lens := b.need(0), b.need(5)
	if b.err != nil {
		return b.err
	}
	if err := groupLimits(c, x, heads, kv); err != nil {
		return err
	}
	g.split(x, heads, kv)
	if b.err != nil {
		return b.err
	}
	batch, rows := x.Shape[0], x.Shape[1]
	last := b.reshape(b.cast(lens, loop.I64), dims(batch, 1, 1, 1))
	first := b.sub(b.add(last, b.like(last, 1)), b.dim(rows))
	g.start = b.do(Max, nil, first, b.like(first, 0))
	g.turn(batch, rows)
	a := attend{q: g.q, mask: c.Value(10), scale: c.Float("scale", 0), softcap: c.Float("softcap", 0), causal: c.Int("causal", 1) != 0,
		window: max(c.Int("local_window_size", 0), 0), sink: g.sink(heads), scores: -1}
	if c.Int("sliding_window_cache", 0) != 0 {
		return g.inWindow(a, last, rows)
	}
	past := sym.Const(0)
	if p := c.Value(3); p != nil && len(p.Shape) == 4 {
		past = p.Shape[2]
	}
	total := past.Add(rows)
	if t := c.Value(6); t != nil {
		if ds := t.Contents(); len(ds) == 1 {
			total = past.Max(ds[0])
		}
	}
	a.k, a.v, a.offset = g.cached(c.Value(3), g.k, g.start, past, total), g.cached(c.Value(4), g.v, g.start, past, total), g.start
	y, _ := b.attend(a)
	return b.done(b.joined(y), a.k, a.v)
}

// sink is the score of a key that is not there, or nil.
func (g *groupQuery) sink(heads int64) *ir.Value {
	if s := g.c.Value(11); s != nil {
		return g.reshape(s, dims(1, heads, 1, 1))
	}
	if g.c.Int("smooth_softmax", 0) > 0 {
		return g.scalar(0)
	}
	return nil
}

// inWindow is attention with a cache that holds the last rows only, as many as resident says: these and the new ones are attended to, and
// the last of them are the next cache. last is the last row's place among all.
func (g *groupQuery) inWindow(a attend, last *ir.Value, rows sym.Dim) error {
	key, value := g.need(3), g.need(4)
	if g.err != nil {
		return g.err
	}
	if len(key.Shape) != 4 || len(value.Shape) != 4 {
		return fmt.Errorf("caches of rank %d and %d", len(key.Shape), len(value.Shape))
	}
	room := key.Shape[2]
	all := g.add(last, g.like(last, 1))
	before, after := g.resident(g.start, room, a.window), g.resident(all, room, a.window)
	drop := g.sub(g.sub(all, after), g.sub(g.start, before))
	a.k, a.v, a.offset = g.cached(key, g.k, before, room, room.Add(rows)), g.cached(value, g.v, before, room, room.Add(rows)), before
	y, _ := g.attend(a)
	return g.done(g.joined(y), g.kept(a.k, drop, room), g.kept(a.v, drop, room))
}

// resident is how many rows a cache of some room holds after so many in all: rows leave it when it is full, as many at once as there is
// room for more than the window.
func (g *groupQuery) resident(all *ir.Value, room sym.Dim, window int64) *ir.Value {
	if g.err != nil {
		return nil
	}
	one := g.like(all, 1)
	step := g.do(Max, nil, g.sub(g.dim(room), g.like(all, float64(window-1))), one)
	over := g.do(Max, nil, g.sub(all, g.dim(room)), g.like(all, 0))
	times := g.div(g.sub(g.add(over, step), one), step)
	return g.sub(all, g.mul(times, step))
}

// kept are as many rows of a cache from one of them on as there is room for.
func (g *groupQuery) kept(v, from *ir.Value, room sym.Dim) *ir.Value {
	if g.err != nil {
		return nil
	}
	at := g.add(g.reshape(g.iota(0, room), dims(room, 1)), from)
	at = g.do(Min, nil, at, g.sub(g.dim(v.Shape[2]), g.like(at, 1)))
	return g.do(GatherElements, GatherElementsAttr{Axis: 2}, v, g.expand(at, dims(v.Shape[:2], room, v.Shape[3])))
}

func (g *groupQuery) split(x *ir.Value, heads, kv int64) {
	k, v := g.c.Value(1), g.c.Value(2)
	if k == nil {
		size, ok := x.Shape[2].Div(sym.Const(heads + 2*kv))
		if !ok {
			g.fail(fmt.Errorf("%v elements for %d heads", x.Shape[2], heads+2*kv))
			return
		}
		a, n := size.Mul(sym.Const(heads)), size.Mul(sym.Const(kv))
		k, v = g.slice(x, 2, a, n), g.slice(x, 2, a.Add(n), n)
		x = g.slice(x, 2, sym.Const(0), a)
	}
	if v == nil {
		g.fail(fmt.Errorf("the values are missing"))
		return
	}
	g.q, g.k, g.v = g.heads(x, heads), g.heads(k, kv), g.heads(v, kv)
}

// turn rotates queries and keys by their places.
func (g *groupQuery) turn(batch, rows sym.Dim) {
	if g.c.Int("do_rotary", 0) == 0 || g.err != nil {
		return
	}
	ids := g.c.Value(9)
	if ids == nil {
		ids = g.expand(g.add(g.reshape(g.iota(0, rows), dims(1, rows)), g.reshape(g.start, dims(batch, 1))), dims(batch, rows))
	}
	cos, sin := g.do(Gather, GatherAttr{}, g.need(7), ids), g.do(Gather, GatherAttr{}, g.need(8), ids)
	if g.err == nil && (len(cos.Shape) != 3 || !ir.SameShape(sin.Shape, cos.Shape)) {
		g.fail(fmt.Errorf("cosines %v and sines %v of the places", cos.Shape, sin.Shape))
	}
	if g.err != nil {
		return
	}
	turned := dimOr(cos.Shape[2], 0) * 2
	interleaved := g.c.Int("rotary_interleaved", 0) != 0
	g.q, g.k = g.rotate(g.q, cos, sin, 1, turned, interleaved), g.rotate(g.k, cos, sin, 1, turned, interleaved)
}

// cached writes new rows, from row start of each sequence on, into a cache of past rows that is made total rows long.
func (g *groupQuery) cached(cache, fresh, start *ir.Value, past, total sym.Dim) *ir.Value {
	if g.err != nil {
		return nil
	}
	s := fresh.Shape
	room := g.expand(g.scalar(0), dims(s[:2], total.Sub(past), s[3]))
	if cache != nil {
		if room = cache; total != past {
			room = g.concat(2, cache, g.expand(g.scalar(0), dims(s[:2], total.Sub(past), s[3])))
		}
	}
	return g.do(TensorScatter, PlainAttr{Ints: ir.MakeInts(2, 0)}, room, fresh, g.reshape(start, dims(s[0])))
}
