package op

import (
	"fmt"
	"math"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Mixtures of experts as ONNX Runtime's model builder writes them (Shazeer et al., 2017; Fedus et al., "Switch Transformers", 2021): of
// some pairs of layers each token goes through the k that its router scores highest. Here all tokens go through all of them, and those not
// chosen count for nothing.
func init() {
	ir.FromONNX("com.microsoft", "MoE", 1, readMoE)
	ir.FromONNX("com.microsoft", "QMoE", 1, readQMoE)
}

// experts is a mixture being read: layers first, second and third give the weights [in, out] of an expert and its bias or nil.
type experts struct {
	*builder
	weights              []int // the numbers of the inputs that hold weights and biases of all experts
	first, second, third func(e int64) (w, bias *ir.Value)
}

// readMoE: input [tokens, width] or [batch, rows, width], scores [tokens, experts], then weights [experts, out, in] and biases
// [experts, out] of the first layer, the second and, perhaps, one whose result multiplies the first's.
func readMoE(c *ir.Import) error {
	m := &experts{builder: &builder{c: c}}
	m.first, m.second = m.stacked(m.need(2), 2, 3), m.stacked(m.need(4), 4, 5)
	if w := c.Value(6); w != nil {
		m.third = m.stacked(w, 6, 7)
	}
	return m.read(nil)
}

// readQMoE is readMoE for weights of 2, 4 or 8 bits, each with scales behind it: [experts, out], or [experts, out, blocks] for blocks of
// inputs. Zero points are inputs 11 to 13; input 14 are other scores, by which results are weighed.
func readQMoE(c *ir.Import) error {
	m := &experts{builder: &builder{c: c}}
	if kind := c.Str("quant_type", "int"); kind != "int" || c.Int("weights_prepacked", -1) > 0 {
		return ir.NotSupported("QMoE of quantisation %s", fmt.Sprintf("%.40q", kind))
	}
	layer := func(i int, name string) func(int64) (*ir.Value, *ir.Value) {
		w := m.need(i)
		if m.err != nil {
			return nil
		}
		return m.stacked(m.unpacked(w, i+1, 11+(i-2)/3, c.Int(name+"_expert_weight_bits", c.Int("expert_weight_bits", 4))), i, i+2)
	}
	m.first, m.second = layer(2, "fc1"), layer(5, "fc2")
	if c.Value(8) != nil {
		m.third = layer(8, "fc3")
	}
	return m.read(c.Value(14))
}

// unpacked are quantised weights as f32 constants; scales and zero points are inputs of those numbers.
func (m *experts) unpacked(w *ir.Value, scales, zeros int, bits int64) *ir.Value {
	s, z := m.need(scales), m.c.Value(zeros)
	if m.err != nil {
		return nil
	}
	if len(w.Shape) != 3 || w.Const == nil || s.Const == nil || z != nil && z.Const == nil || bits != 2 && bits != 4 && bits != 8 {
		return m.fail(ir.NotSupported("QMoE of %d bits, or of weights that are not constant", bits))
	}
	t := &quantTable{data: w.Const, scales: s.Const, along: len(w.Shape) - 1, block: m.c.Int("block_size", 0), bits: bits, per: 8 / bits,
		none: float32(int64(1) << (bits - 1))}
	if t.block < 1 {
		t.block = t.shape()[t.along]
		t.scales = &ir.Tensor{Elem: s.Const.Elem, Shape: append(append([]int64{}, s.Const.Shape...), 1), Data: s.Const.Data}
	}
	if z != nil {
		t.zeros = z.Const
	}
	if m.err = t.check(); m.err != nil {
		return nil
	}
	return ir.ConstValue(w.Name, t.values())
}

// maxExperts bounds how many layers one node becomes.
const maxExperts = 1 << 10

// stacked gives the layers of weights w [experts, out, in], which input at holds, and of biases [experts, out], another input's if it is there.
func (m *experts) stacked(w *ir.Value, at, biases int) func(e int64) (*ir.Value, *ir.Value) {
	if m.err != nil {
		return nil
	}
	bias := m.c.Value(biases)
	m.weights = append(m.weights, at)
	if bias != nil {
		m.weights = append(m.weights, biases)
	}
	if len(w.Shape) != 3 || w.Const == nil || w.Elem != loop.F32 || bias != nil && len(bias.Shape) != 2 {
		m.fail(ir.NotSupported("experts whose weights are %v of shape %v, or not constant", w.Elem, w.Shape))
		return nil
	}
	count, out, in := w.Const.Shape[0], w.Const.Shape[1], w.Const.Shape[2]
	if count > maxExperts || out < 1 || in < 1 {
		m.fail(ir.NotSupported("%d experts of %d columns and %d rows", count, out, in))
		return nil
	}
	return func(e int64) (*ir.Value, *ir.Value) {
		t := ir.NewTensor(loop.F32, in, out)
		from, to := ir.Slice[float32](w.Const)[e*out*in:], ir.Slice[float32](t)
		for i := range out {
			for k := range in {
				to[k*out+i] = from[i*in+k]
			}
		}
		if bias == nil {
			return ir.ConstValue(w.Name, t), nil
		}
		return ir.ConstValue(w.Name, t), m.reshape(m.slice(bias, 0, sym.Const(e), sym.Const(1)), dims(out))
	}
}

func (m *experts) read(weigh *ir.Value) error {
	x, scores := m.need(0), m.need(1)
	if m.err != nil {
		return m.err
	}
	count, known := scores.Shape[len(scores.Shape)-1].Const()
	if rank := len(x.Shape); rank < 2 || len(scores.Shape) != 2 || !known || m.c.Int("use_sparse_mixer", 0) != 0 || m.c.Int("swiglu_limit_after_activation", 0) != 0 {
		return ir.NotSupported("experts for an input of rank %d and scores %v, or with a sparse mixer", rank, scores.Shape)
	}
	for _, i := range m.weights {
		if n := m.c.Inputs[i].Shape[0]; !n.Is(count) {
			return fmt.Errorf("scores for %d experts, input %d has %v", count, i, n)
		}
	}
	rows := m.reshape(x, dims(scores.Shape[0], x.Shape[len(x.Shape)-1]))
	share := m.shares(scores, weigh, count)
	var sum *ir.Value
	for e := range count {
		y := m.mul(m.expert(rows, e), m.slice(share, 1, sym.Const(e), sym.Const(1)))
		if sum != nil {
			y = m.add(sum, y)
		}
		sum = y
	}
	return m.done(m.reshape(sum, x.Shape))
}

// shares is how much each expert's result counts for each token, [tokens, experts]: the softmax of the scores of the k greatest.
func (m *experts) shares(scores, weigh *ir.Value, count int64) *ir.Value {
	k := m.c.Int("k", 1)
	if m.err == nil && (k < 1 || k > count) {
		return m.fail(fmt.Errorf("%d of %d experts", k, count))
	}
	p := m.do(Softmax, nil, scores)
	top := m.all(TopK, TopKAttr{K: ir.MakeDims(sym.Consts(k))}, p)
	share := top[0]
	if weigh != nil {
		share = m.do(GatherElements, GatherElementsAttr{Axis: 1}, weigh, top[1])
	}
	if m.c.Int("normalize_routing_weights", 0) != 0 {
		share = m.div(share, m.reduce(share, "sum", true, 1))
	}
	if m.err != nil {
		return nil
	}
	return m.do(ScatterElements, ScatterAttr{Axis: 1}, m.expand(m.scalar(0), scores.Shape), top[1], share)
}

// expert is what one expert makes of all rows.
func (m *experts) expert(x *ir.Value, e int64) *ir.Value {
	h := m.layer(x, m.first, e)
	kind := m.c.Str("activation_type", "relu")
	switch kind {
	case "relu":
		h = m.do(Relu, nil, h)
	case "gelu":
		h = m.do(Gelu, GeluAttr{Tanh: true}, h)
	case "silu":
		h = m.do(Silu, SiluAttr{Alpha: 1}, h)
	case "identity":
	case "swiglu":
		return m.layer(m.swiglu(x, h, e), m.second, e)
	default:
		return m.fail(ir.NotSupported("experts with activation %s", fmt.Sprintf("%.40q", kind)))
	}
	if m.third != nil {
		h = m.mul(h, m.layer(x, m.third, e))
	}
	return m.layer(h, m.second, e)
}

func (m *experts) layer(x *ir.Value, weights func(int64) (*ir.Value, *ir.Value), e int64) *ir.Value {
	if m.err != nil {
		return nil
	}
	w, bias := weights(e)
	y := m.do(MatMul, nil, x, w)
	if bias != nil {
		y = m.add(y, bias)
	}
	return y
}

// swiglu is g sigmoid(alpha g) (l + beta), both parts clipped: they are columns of h in turns or one after another, or l is the third layer's.
func (m *experts) swiglu(x, h *ir.Value, e int64) *ir.Value {
	if m.err != nil {
		return nil
	}
	n, known := h.Shape[1].Const()
	var g, l *ir.Value
	switch fusion := m.c.Int("swiglu_fusion", 0); {
	case fusion == 0 && m.third != nil:
		g, l = h, m.layer(x, m.third, e)
	case fusion == 1 && known && n%2 == 0:
		g, l = m.part(h, 0, n/2, 2), m.part(h, 1, n/2, 2)
	case fusion == 2 && known && n%2 == 0:
		g, l = m.part(h, 0, n/2, 1), m.part(h, n/2, n/2, 1)
	default:
		return m.fail(fmt.Errorf("swiglu with layout %d of %d columns", fusion, n))
	}
	if limit := m.c.Float("swiglu_limit", float32(math.Inf(1))); !math.IsInf(float64(limit), 1) {
		g = m.do(Min, nil, g, m.scalar(float64(limit)))
		l = m.do(Clamp, ClampAttr{-limit, limit}, l)
	}
	g = m.do(Silu, SiluAttr{Alpha: m.c.Float("activation_alpha", 1)}, g)
	return m.mul(g, m.add(l, m.scalar(float64(m.c.Float("activation_beta", 0)))))
}
