package ir

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// PlainCall is a call of a function of package plain.
type PlainCall struct {
	Func   string
	Ints   []int64
	Floats []float64
	Count  Count
}

// Words is a table of strings, by whose numbers tensors hold them.
type Words = plain.Words

// NewWords makes a table that holds the empty string alone.
func NewWords() *Words { return plain.NewWords(nil) }

// errWords is why strings are not looked at before a program runs: its table is made then.
var errWords = errors.New("strings are the program's")

// HoldsStrings reports whether an input or output of the node is of strings.
func (n *Node) HoldsStrings() bool {
	for _, v := range append(append([]*Value{}, n.In...), n.Out...) {
		if v != nil && v.Elem == loop.String {
			return true
		}
	}
	return false
}

// Count is a symbol whose value a node finds from its data while the program runs, and the most it can be, as "symbol:most"; empty is
// none.
type Count string

// counted is what the names of counts begin with: z, as they may be 0, and c.
const counted = "zc"

// NewCount makes a count for the next node of g.
func (g *Graph) NewCount(most sym.Dim) Count {
	return Count(fmt.Sprintf("%s%d:%s", counted, len(g.Nodes), MakeDims([]sym.Dim{most})))
}

// Sym is the symbol's name.
func (c Count) Sym() string {
	name, _, _ := strings.Cut(string(c), ":")
	return name
}

// Most is the greatest value.
func (c Count) Most() sym.Dim {
	_, most, _ := strings.Cut(string(c), ":")
	return DimList(most).List()[0]
}

// Dim is the count as a size.
func (c Count) Dim() sym.Dim { return sym.Sym(c.Sym()) }

// ParseFloats reads numbers with semicolons between them, as attributes hold them.
func ParseFloats(list string) []float64 {
	if list == "" {
		return nil
	}
	var out []float64
	for _, p := range strings.Split(list, ";") {
		x, err := strconv.ParseFloat(p, 64)
		if err != nil {
			panic("ir: " + err.Error()) // attributes are made by Sprint
		}
		out = append(out, x)
	}
	return out
}

// evalPlain runs an operator of package plain. Outputs are made as large as they can be and cut when their size is known.
func (n *Node) evalPlain(b sym.Binding, in []*Tensor) ([]*Tensor, error) {
	if n.HoldsStrings() {
		return nil, errWords
	}
	call := n.Op.Plain(n)
	a := &plain.Args{}
	for i, t := range in {
		if t != nil {
			a.In[i] = plainTensor(t)
		}
	}
	most := sym.Binding{}
	for s, v := range b {
		most[s] = v
	}
	if call.Count != "" {
		var err error
		if most[call.Count.Sym()], err = call.Count.Most().Eval(b); err != nil {
			return nil, err
		}
	}
	out := make([]*Tensor, len(n.Out))
	for i := range out {
		shape, err := n.OutShape(i, most)
		if err != nil {
			return nil, err
		}
		out[i] = NewTensor(n.Out[i].Elem, shape...)
		a.Out[i] = plainTensor(out[i])
	}
	for i, v := range call.Ints {
		a.Ints[i] = int(v)
	}
	copy(a.Floats[:], call.Floats)
	count, err := n.Op.Run(a)
	if err != nil || call.Count == "" {
		return out, err
	}
	if b == nil {
		b = sym.Binding{}
	}
	b[call.Count.Sym()] = int64(count)
	for i, t := range out {
		if t.Shape, err = n.OutShape(i, b); err != nil {
			return nil, err
		}
		t.Data = t.Data[:int64(t.Len())*t.Elem.Size()]
	}
	return out, nil
}

func plainTensor(t *Tensor) plain.Tensor {
	p := plain.Tensor{Elem: plain.Elem(t.Elem - loop.F32), Rank: len(t.Shape), P: unsafe.Pointer(unsafe.SliceData(t.Data))}
	for i, d := range t.Shape {
		p.Dims[i] = int(d)
	}
	return p
}
