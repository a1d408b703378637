package op

import (
	"fmt"
	"regexp"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// NormalizeAttr: what becomes of the case, as in package plain; Sensitive says that stop words count with their case. Count is how many
// strings remain.
type NormalizeAttr struct {
	Case      int64
	Sensitive bool
	Count     ir.Count
}

// SplitAttr: the most cuts of a string, which with Strict must be enough; Count is the longest row.
type SplitAttr struct {
	Most   int64
	Strict bool
	Count  ir.Count
}

// Operators on strings, whose tensors hold numbers of the program's table.
var (
	StringNormalizer = ir.NewOp("stringnormalizer", "leaves stop words out and changes the case", NormalizeAttr{})
	StringSplit      = ir.NewOp("stringsplit", "cuts strings at a delimiter", SplitAttr{})
	StringConcat     = newPlain("stringconcat", "StringConcat", "strings put together", plain.StringConcat)
	RegexFullMatch   = newPlain("regexfullmatch", "RegexFullMatch", "strings that an expression matches as a whole", plain.RegexFullMatch)
)

func init() {
	StringNormalizer.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if r := len(v.Shape); v.Elem != loop.String || n.In[1].Elem != loop.String || r < 1 || r > 2 {
			return fmt.Errorf("%v%v, want strings of rank 1 or 2", v.Elem, v.Shape)
		}
		last := len(v.Shape) - 1
		n.Out[0].Elem, n.Out[0].Shape = loop.String, dims(v.Shape[:last], n.Attr.(NormalizeAttr).Count.Dim())
		return nil
	}
	StringNormalizer.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(NormalizeAttr)
		return ir.PlainCall{Func: "StringNormalizer", Ints: []int64{a.Case, b2i(a.Sensitive)}, Count: a.Count}
	}
	StringNormalizer.Run = plain.StringNormalizer
	ir.FromONNX("", "StringNormalizer", 10, readStringNormalizer)

	StringSplit.NumOut = 2
	StringSplit.Infer = func(n *ir.Node) error {
		v := n.In[0]
		if v.Elem != loop.String || n.In[1].Elem != loop.String {
			return fmt.Errorf("%v, want strings", v.Elem)
		}
		n.Out[0].Elem, n.Out[0].Shape = loop.String, dims(v.Shape, n.Attr.(SplitAttr).Count.Dim())
		n.Out[1].Elem, n.Out[1].Shape = loop.I64, v.Shape
		return nil
	}
	StringSplit.Plain = func(n *ir.Node) ir.PlainCall {
		a := n.Attr.(SplitAttr)
		return ir.PlainCall{Func: "StringSplit", Ints: []int64{a.Most, b2i(a.Strict)}, Count: a.Count}
	}
	StringSplit.Run = plain.StringSplit
	ir.FromONNX("", "StringSplit", 20, readStringSplit)
	ir.FromONNX("", "StringConcat", 20, readStringConcat)
	ir.FromONNX("", "RegexFullMatch", 20, readRegexFullMatch)
}

// words is a constant of strings.
func words(c *ir.Import, list ...string) *ir.Value {
	t := ir.NewTensor(loop.String, int64(len(list)))
	for i, s := range list {
		t.Set(i, loop.Scalar{I: int64(c.Graph.Words.Number(s))})
	}
	return ir.ConstValue("", t)
}

func readStringNormalizer(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil || len(v.Shape) == 0 {
		return orElse(err, fmt.Errorf("a single string, want a list"))
	}
	form, ok := map[string]int64{"NONE": plain.CaseKept, "LOWER": plain.CaseLower, "UPPER": plain.CaseUpper}[c.Str("case_change_action", "NONE")]
	if !ok {
		return fmt.Errorf("case_change_action %.40q", c.Str("case_change_action", ""))
	}
	// Nothing at all becomes one empty string, so an empty list still needs room for one.
	most := v.Shape[len(v.Shape)-1].Max(sym.Const(1))
	a := NormalizeAttr{form, c.Int("is_case_sensitive", 0) != 0, c.Graph.NewCount(most)}
	return c.Return(c.Emit(StringNormalizer, a, v, words(c, c.Attrs["stopwords"].Strings...)))
}

// maxCuts bounds the cuts of a string where the model does not: more are an error of the run.
const maxCuts = 1 << 10

func readStringSplit(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	most, bounded := c.Attrs["maxsplit"]
	cuts, strict := most.I, !bounded || most.I < 0 || most.I > maxCuts
	if strict {
		cuts = maxCuts
	}
	a := SplitAttr{cuts, strict, c.Graph.NewCount(sym.Const(cuts + 1))}
	return c.Return(c.Emit(StringSplit, a, v, words(c, c.Str("delimiter", ""))))
}

func readStringConcat(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	if in[0].Elem != loop.String || in[1].Elem != loop.String {
		return fmt.Errorf("%v and %v, want strings", in[0].Elem, in[1].Elem)
	}
	shape, err := ir.BroadcastShapes(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	b := &builder{c: c}
	return b.done(b.do(StringConcat, PlainAttr{}, b.expand(in[0], shape), b.expand(in[1], shape)))
}

func readRegexFullMatch(c *ir.Import) error {
	v, err := c.Need(0)
	if err != nil {
		return err
	}
	if v.Elem != loop.String {
		return fmt.Errorf("%v, want strings", v.Elem)
	}
	pattern := c.Str("pattern", "")
	if _, err := regexp.Compile(pattern); err != nil {
		return err
	}
	return c.Return(c.Emit(RegexFullMatch, PlainAttr{To: loop.Bool}, v, words(c, pattern)))
}

// numbers sees strings as their numbers in the table, which are equal where the strings are.
func (b *builder) numbers(v *ir.Value) *ir.Value {
	if b.err != nil || v.Elem != loop.String {
		return v
	}
	return b.do(BitCast, PlainAttr{To: loop.U64}, v)
}
