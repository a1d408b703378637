package op

import (
	"fmt"
	"slices"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// LabelEncoder maps the elements of x to values: keys [n] of x's type, and values [n+1], the last of which is for what is no key
// (ai.onnx.ml LabelEncoder, opset 4).
var LabelEncoder = ir.NewOp("labelencoder", "maps elements to values by a table", nil)

func init() {
	LabelEncoder.Run = plain.LabelEncoder
	LabelEncoder.Infer = func(n *ir.Node) error {
		x, keys, values := n.In[0], n.In[1], n.In[2]
		if x.Elem != keys.Elem || len(keys.Shape) != 1 || len(values.Shape) != 1 {
			return fmt.Errorf("%v%v and %v%v for a table, want a list each, the keys of %v", keys.Elem, keys.Shape, values.Elem, values.Shape, x.Elem)
		}
		n.Out[0].Elem, n.Out[0].Shape = values.Elem, x.Shape
		return ir.Equal(keys.Shape[0].Add(sym.Const(1)), values.Shape[0])
	}
	LabelEncoder.Plain = func(n *ir.Node) ir.PlainCall { return ir.PlainCall{Func: "LabelEncoder"} }
	ir.FromONNX("ai.onnx.ml", "LabelEncoder", 2, readLabelEncoder)
	ir.FromONNX("ai.onnx.ml", "Binarizer", 1, readBinarizer)
}

func readLabelEncoder(c *ir.Import) error {
	x, err := c.Need(0)
	if err != nil {
		return err
	}
	keys, values := labelTable(c, "keys"), labelTable(c, "values")
	if keys == nil || values == nil || keys.Len() != values.Len() {
		return fmt.Errorf("keys and values of the same number are needed")
	}
	other := ir.NewTensor(values.Elem, 1)
	switch t := c.Attrs["default_tensor"].T; {
	case t != nil && (t.Elem != values.Elem || t.Len() != 1):
		return fmt.Errorf("default_tensor %v for values of %v", t, values.Elem)
	case t != nil:
		other = t
	case values.Elem == loop.String:
		other = words(c, c.Str("default_string", "_Unused")).Const
	case values.Elem.Float():
		other.Set(0, loop.Scalar{F: float64(c.Float("default_float", 0))})
	default:
		other.Set(0, loop.Scalar{I: c.Int("default_int64", -1)})
	}
	all := ir.NewTensor(values.Elem, int64(values.Len()+1))
	for i := range values.Len() {
		all.Set(i, values.At(i))
	}
	all.Set(values.Len(), other.At(0))
	return c.Return(c.Emit(LabelEncoder, nil, x, ir.ConstValue("", keys), ir.ConstValue("", all)))
}

// labelTable is the list in the attribute of that name and one of four types, or nil.
func labelTable(c *ir.Import, name string) *ir.Tensor {
	if t := c.Attrs[name+"_tensor"].T; t != nil && len(t.Shape) == 1 {
		return t
	}
	if ints := c.Attrs[name+"_int64s"].Ints; ints != nil {
		return intTensor(ints)
	}
	if floats := c.Attrs[name+"_floats"].Floats; floats != nil {
		t := ir.NewTensor(loop.F32, int64(len(floats)))
		copy(ir.Slice[float32](t), floats)
		return t
	}
	if list := c.Attrs[name+"_strings"].Strings; list != nil {
		return words(c, list...).Const
	}
	return nil
}

func intTensor(ints []int64) *ir.Tensor {
	t := ir.NewTensor(loop.I64, int64(len(ints)))
	copy(ir.Slice[int64](t), ints)
	return t
}

// readBinarizer reads x > threshold as 1 or 0.
func readBinarizer(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	if b.err != nil {
		return b.err
	}
	above := b.do(Less, nil, b.like(x, float64(c.Float("threshold", 0))), x)
	return b.done(b.cast(above, x.Elem))
}

// NgramAttr: the grams of Least to Most elements are counted, with up to Skip elements between two of them left out each; Mode is how
// the counts are weighed, as in package plain, and Width how many of them there are.
type NgramAttr struct{ Least, Most, Skip, Mode, Width int64 }

// Ngrams counts the grams of rows x [rows, n] or of one row [n]: the pool of grams [p], all of one element, then all of two and so on,
// where each length starts [most], at which place each gram counts [grams], their weights [grams] (ONNX TfIdfVectorizer, opset 9).
var Ngrams = ir.NewOp("ngrams", "counts the grams of rows", NgramAttr{})

func init() {
	Ngrams.Run = plain.Ngrams
	Ngrams.Infer = func(n *ir.Node) error {
		x := n.In[0]
		if r := len(x.Shape); r < 1 || r > 2 || x.Elem != n.In[1].Elem {
			return fmt.Errorf("%v%v for a pool of %v", x.Elem, x.Shape, n.In[1].Elem)
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.F32, dims(x.Shape[:len(x.Shape)-1], n.Attr.(NgramAttr).Width)
		return nil
	}
	Ngrams.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(NgramAttr)
		return ir.PlainCall{Func: "Ngrams", Ints: []int64{a.Least, a.Most, a.Skip, a.Mode}}
	}
	ir.FromONNX("", "TfIdfVectorizer", 9, readNgrams)
}

func readNgrams(c *ir.Import) error {
	b := &builder{c: c}
	x := b.need(0)
	mode, known := map[string]int64{"TF": plain.Counts, "IDF": plain.Presence, "TFIDF": plain.Weighed}[c.Str("mode", "")]
	a := NgramAttr{c.Int("min_gram_length", 0), c.Int("max_gram_length", 0), c.Int("max_skip_count", 0), mode, 0}
	starts, _ := c.Ints("ngram_counts")
	places, _ := c.Ints("ngram_indexes")
	pool := labelTable(c, "pool")
	if b.err != nil || !known || pool == nil || a.Least < 1 || a.Most < a.Least || a.Skip < 0 || int64(len(starts)) < a.Most {
		return orElse(b.err, fmt.Errorf("mode %.40q, grams of %d to %d elements, %d starts", c.Str("mode", ""), a.Least, a.Most, len(starts)))
	}
	grams := int64(0)
	for i, from := range starts {
		end := int64(pool.Len())
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if from < 0 || end < from || end > int64(pool.Len()) || (end-from)%int64(i+1) != 0 {
			return fmt.Errorf("grams of %d elements from %d to %d of %d", i+1, from, end, pool.Len())
		}
		grams += (end - from) / int64(i+1)
	}
	weights := c.Attrs["weights"].Floats
	if weights == nil {
		weights = slices.Repeat([]float32{1}, len(places))
	}
	if int64(len(places)) != grams || len(weights) != len(places) || grams == 0 || slices.Min(places) < 0 {
		return fmt.Errorf("%d places and %d weights for %d grams", len(places), len(weights), grams)
	}
	if a.Width = slices.Max(places) + 1; a.Width > maxNgrams {
		return ir.NotSupported("TfIdfVectorizer of %d places", a.Width)
	}
	if x.Elem == loop.I32 {
		x = b.cast(x, loop.I64)
	}
	w := ir.NewTensor(loop.F32, grams)
	copy(ir.Slice[float32](w), weights)
	in := []*ir.Value{x, ir.ConstValue("", pool), ir.ConstValue("", intTensor(starts)), ir.ConstValue("", intTensor(places)), ir.ConstValue("", w)}
	return b.done(b.do(Ngrams, a, in...))
}

// maxNgrams bounds how long a row of counts can be.
const maxNgrams = 1 << 24
