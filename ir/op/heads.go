package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// attend describes one attention: q [batch, heads, m, d], k and v [batch, heads or fewer, s, d or e], a mask that broadcasts to
// [batch, heads, m, s] or nil.
type attend struct {
	q, k, v, mask *ir.Value
	scale         float32 // 0 for 1/sqrt(d)
	softcap       float32
	causal        bool
	offset        *ir.Value // [batch, 1, 1, 1] of i64: how many keys come before the first row's own; nil for the first rows' count
	before        sym.Dim   // that number where it is known
	window        int64     // how many keys a row sees, itself included; 0 for all
	sink          *ir.Value // [1, heads or 1, 1, 1]: what a key that is not there adds to the scores of each row; nil for none
	scores        int64     // which scores are wanted too: -1 none, 0 products, 1 capped, 2 with the mask, 3 probabilities
}

// headScale is what the scores of heads of a size are multiplied with: scale, or 1/sqrt(size) if that is 0.
func (b *builder) headScale(what string, scale float64, size sym.Dim) float64 {
	if scale != 0 {
		return scale
	}
	d, known := size.Const()
	if !known {
		b.fail(ir.NotSupported("%s over heads of size %v", what, size))
	}
	return 1 / math.Sqrt(float64(d))
}

// attend emits the attention and, if wanted, its scores; the plain form is one operator.
func (b *builder) attend(a attend) (y, scores *ir.Value) {
	if b.err != nil {
		return nil, nil
	}
	q, k, v := a.q, b.grouped(a.k, a.q), b.grouped(a.v, a.q)
	if b.err != nil {
		return nil, nil
	}
	a.scale = float32(b.headScale("attention", float64(a.scale), q.Shape[3]))
	if b.err != nil {
		return nil, nil
	}
	mask := b.mask(a, q.Shape[2], k.Shape[2])
	if a.sink != nil {
		k, v, mask = b.withSink(a.sink, q, k, v, mask)
	}
	if a.softcap == 0 && a.scores < 0 {
		return b.do(Attention, AttentionAttr{Scale: a.scale, Guard: true}, q, k, v, mask), nil
	}
	s := b.mul(b.do(MatMul, nil, q, b.transpose(k, 0, 1, 3, 2)), b.like(q, float64(a.scale)))
	raw := s
	if a.softcap != 0 {
		s = b.mul(b.do(Tanh, nil, b.div(s, b.like(q, float64(a.softcap)))), b.like(q, float64(a.softcap)))
	}
	capped := s
	if mask != nil {
		s = b.add(s, mask)
	}
	p := b.do(Softmax, nil, s)
	p = b.do(Where, nil, b.do(IsNaN, nil, p), b.like(q, 0), p)
	y = b.do(MatMul, nil, p, v)
	if a.scores >= 0 {
		scores = []*ir.Value{raw, capped, s, p}[min(a.scores, 3)]
	}
	return y, scores
}

// withSink adds a key and a value of zeros, and what the mask then is: the key's score is the sink's, and it takes its share of each row.
func (b *builder) withSink(sink, q, k, v, mask *ir.Value) (*ir.Value, *ir.Value, *ir.Value) {
	if b.err != nil {
		return nil, nil, nil
	}
	s := q.Shape
	zeros := func(x *ir.Value) *ir.Value {
		return b.concat(2, x, b.expand(b.scalar(0), dims(x.Shape[:2], 1, x.Shape[3])))
	}
	if mask == nil {
		mask = b.scalar(0)
	}
	seen := b.expand(mask, dims(s[:3], k.Shape[2]))
	return zeros(k), zeros(v), b.concat(3, seen, b.expand(sink, dims(s[:3], 1)))
}

// grouped repeats the heads of keys or values, each for as many heads of the queries in a row.
func (b *builder) grouped(v, q *ir.Value) *ir.Value {
	if b.err != nil || v.Shape[1] == q.Shape[1] {
		return v
	}
	n, ok := q.Shape[1].Div(v.Shape[1])
	if !ok {
		b.err = fmt.Errorf("%v heads of queries for %v of keys", q.Shape[1], v.Shape[1])
		return nil
	}
	s := v.Shape
	wide := b.expand(b.reshape(v, dims(s[0], s[1], 1, s[2], s[3])), dims(s[0], s[1], n, s[2], s[3]))
	return b.reshape(wide, dims(s[0], q.Shape[1], s[2], s[3]))
}

// mask is the additive mask of m rows and s keys, or nil.
func (b *builder) mask(a attend, m, s sym.Dim) *ir.Value {
	if b.err != nil {
		return nil
	}
	mask, err := additiveMask(b.c, a.mask)
	if b.err = err; err != nil {
		return nil
	}
	if mask != nil && mask.Elem != loop.F32 {
		mask = b.cast(mask, loop.F32)
	}
	mask = b.forKeys(mask, s)
	if !a.causal && a.window == 0 {
		return mask
	}
	row := b.reshape(b.iota(0, m), dims(m, 1))
	if a.offset != nil {
		row = b.add(row, a.offset)
	} else {
		row = b.add(row, b.dim(a.before))
	}
	col := b.iota(0, s)
	seen := b.do(LessOrEqual, nil, col, row)
	if a.window > 0 {
		seen = b.do(And, nil, seen, b.do(Less, nil, b.sub(row, b.like(row, float64(a.window))), col))
	}
	if b.err != nil {
		return nil
	}
	causal := b.do(Where, nil, seen, ir.Scalar(loop.F32, 0), ir.Scalar(loop.F32, math.Inf(-1)))
	if mask == nil {
		return causal
	}
	return b.add(mask, causal)
}

// forKeys makes an additive mask for fewer keys than there are one for all: the others do not count.
func (b *builder) forKeys(mask *ir.Value, s sym.Dim) *ir.Value {
	if b.err != nil || mask == nil || len(mask.Shape) == 0 {
		return mask
	}
	last := len(mask.Shape) - 1
	if d := mask.Shape[last]; d.Is(1) || d.Same(s) != sym.False {
		return mask
	}
	p := padding{b, "constant", ir.Scalar(loop.F32, math.Inf(-1))}
	return p.axis(mask, last, sym.Const(0), s.Sub(mask.Shape[last]))
}

// dim is a size as a scalar of i64.
func (b *builder) dim(d sym.Dim) *ir.Value {
	return b.do(Dims, DimsAttr{ir.MakeDims([]sym.Dim{d}), loop.I64, true})
}

// heads makes [batch, s, heads*d] into [batch, heads, s, d].
func (b *builder) heads(v *ir.Value, heads int64) *ir.Value {
	if b.err != nil {
		return nil
	}
	v, b.err = splitHeads(b.c, v, heads)
	return v
}

// joined makes [batch, heads, s, d] into [batch, s, heads*d].
func (b *builder) joined(v *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	s := v.Shape
	return b.reshape(b.transpose(v, 0, 2, 1, 3), dims(s[0], s[2], s[1].Mul(s[3])))
}

// after puts new keys or values behind those of a cache along the axis of the sequence; without a cache they stand alone.
func (b *builder) after(cache, v *ir.Value) *ir.Value {
	if cache == nil || b.err != nil {
		return v
	}
	return b.do(Concat, ConcatAttr{2}, cache, v)
}

func init() { ir.FromONNX("", "Attention", 23, readAttention) }

// readAttention reads the operator of opset 23 and 24: operands of rank 3 are split into heads first; with a cache, keys and values
// are put behind it; nonpad_kv_seqlen says how many keys of each batch entry count.
func readAttention(c *ir.Import) error {
	b := &builder{c: c}
	q, k, v := b.need(0), b.need(1), b.need(2)
	if b.err != nil {
		return b.err
	}
	flat := len(q.Shape) == 3
	qh, kh := c.Int("q_num_heads", 0), c.Int("kv_num_heads", 0)
	q, k, v = b.heads(q, qh), b.heads(k, kh), b.heads(v, kh)
	before := sym.Const(0)
	if past := c.Value(4); past != nil && len(past.Shape) == 4 {
		before = past.Shape[2]
	}
	k, v = b.after(c.Value(4), k), b.after(c.Value(5), v)
	if b.err != nil {
		return b.err
	}
	if k.Shape[0] != q.Shape[0] || v.Shape[2] != k.Shape[2] {
		return ir.NotSupported("Attention with broadcast operands")
	}
	a := attend{q: q, k: k, v: v, mask: c.Value(3), scale: c.Float("scale", 0), softcap: c.Float("softcap", 0),
		causal: c.Int("is_causal", 0) != 0, before: before, scores: -1}
	if c.NumOut > 3 {
		a.scores = c.Int("qk_matmul_output_mode", 0)
	}
	if lens := c.Value(6); lens != nil {
		a.mask, a.offset = b.unpadded(a.mask, lens, q, k)
	}
	y, scores := b.attend(a)
	if flat {
		y = b.joined(y)
	}
	return b.done(y, k, v, scores)
}

// unpadded adds to a mask that only the first lens[b] keys count, and gives the place of the first row among them.
func (b *builder) unpadded(mask, lens, q, k *ir.Value) (both, offset *ir.Value) {
	n := b.reshape(b.cast(lens, loop.I64), dims(q.Shape[0], 1, 1, 1))
	valid := b.do(Less, nil, b.iota(0, k.Shape[2]), n)
	if b.err != nil {
		return nil, nil
	}
	both = b.do(Where, nil, valid, ir.Scalar(loop.F32, 0), ir.Scalar(loop.F32, math.Inf(-1)))
	if mask != nil {
		m, err := additiveMask(b.c, mask)
		if b.err = err; err != nil {
			return nil, nil
		}
		both = b.add(b.forKeys(m, k.Shape[2]), both)
	}
	return both, b.sub(n, b.dim(q.Shape[2]))
}
