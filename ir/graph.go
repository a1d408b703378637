package ir

import (
	"fmt"
	"math"

	"mmc/ir/loop"
	"mmc/ir/sym"
	"mmc/runtime/plain"
)

// Graphs are g and the graphs that its nodes run, outer ones first.
func (g *Graph) Graphs() []*Graph {
	list := []*Graph{g}
	for _, n := range g.Nodes {
		if n.Op.Body != nil {
			list = append(list, n.Op.Body(n).Graphs()...)
		}
	}
	return list
}

// Value is an edge: a graph input, a constant or the output of one node.
type Value struct {
	Name  string // the model's name, for messages and the name table only
	Elem  loop.Elem
	Shape []sym.Dim
	Const *Tensor   // the contents, if they are known
	Fixed *Tensor   // of a graph input: what it must hold, because the program was made for that; nodes read it as a constant
	Dims  []sym.Dim // the contents of an integer or bool value, if they are known as dims
	Def   *Node     // the node that defines it; nil for inputs and constants

	// Sequence marks a list of values, which exists only while a model is read; List are its entries.
	Sequence bool
	List     []*Value
}

// Node applies an operator. From names the ONNX nodes it came from, through all rewrites.
type Node struct {
	Op      *Op
	Attr    any
	In, Out []*Value
	From    []string
}

// Require is a fact the program relies on: Small <= Large, checked when it runs.
type Require struct {
	Small, Large sym.Dim
	Why          string // in the model's terms
}

// Graph is a program: nodes in topological order.
type Graph struct {
	Inputs   []*Value
	Outputs  []*Value
	OutNames []string
	Nodes    []*Node
	Requires []Require
	Rounding string             // what the model rounds to between its operators: "", f16 or int8
	Hints    map[string]string  // symbol -> the name the model gives that axis
	Words    *Words             // the strings of constants and attributes
	Trips    map[string]sym.Dim // of the loops that were read: how often each of their symbols counts, from 0 on
}

// Op is an operator. The fields are set once, in init, by its file in ir/op.
type Op struct {
	Name, Doc string
	Proto     any // zero value of the attribute struct; nil if the operator has none
	NumOut    int // 0 means 1
	// Outs is the number of outputs where that follows the attributes; Body the graph that a node runs, if it has one.
	Outs func(attr any) int
	Body func(n *Node) *Graph

	// Infer sets element type and shape of the outputs, and Dims where the contents are known.
	Infer func(n *Node) error
	// Eval computes the outputs; b binds every symbol.
	Eval func(n *Node, b sym.Binding, in []*Tensor) ([]*Tensor, error)
	// Elem, for elementwise operators, computes one element of the output from one of each input.
	Elem func(b *loop.Builder, n *Node, in []loop.Val) loop.Val
	// Row, for operators on the last axis, is the kernel of one row: one buffer an input, then one an output. A buffer of a
	// shape of rank 1 is the same for every row; a Uniform one has a single element a row.
	Row func(n *Node) *loop.Kernel
	// Plain, for operators of package plain, gives the function's name there and its numbers; the function is Run.
	Plain func(n *Node) PlainCall
	Run   plain.Func
	// Dim, for elementwise operators on dims, computes one content of the output.
	Dim func(n *Node, in []sym.Dim) (sym.Dim, bool)
	// FloatDims says that Dim holds for float results too: whole numbers pass through the operator unchanged.
	FloatDims bool

	Import []Spelling // ONNX names that map to this operator or are decomposed by its file
}

// Spelling is one ONNX operator and the opsets from which on a reader applies.
type Spelling struct {
	Domain, Name string
	Since        int
	Read         func(*Import) error
}

var (
	ops       = map[string]*Op{}
	spellings = map[[2]string][]Spelling{}
)

// NewOp registers an operator under its name in the text form.
func NewOp(name, doc string, proto any) *Op {
	if ops[name] != nil {
		panic("ir: operator " + name + " is registered twice")
	}
	op := &Op{Name: name, Doc: doc, Proto: proto}
	ops[name] = op
	return op
}

// Ops lists the operators by name.
func Ops() map[string]*Op { return ops }

// FromONNX registers the reader of an ONNX operator from an opset version of its domain on.
func FromONNX(domain, name string, since int, read func(*Import) error) {
	k := [2]string{domain, name}
	spellings[k] = append(spellings[k], Spelling{domain, name, since, read})
}

// Spellings lists every ONNX operator that can be read.
func Spellings() map[[2]string][]Spelling { return spellings }

// Reading is the reader of an ONNX operator at an opset: the one with the highest version up to it, or nil.
func Reading(domain, name string, opset int) func(*Import) error {
	var best *Spelling
	list := spellings[[2]string{domain, name}]
	for i := range list {
		if list[i].Since <= opset && (best == nil || list[i].Since > best.Since) {
			best = &list[i]
		}
	}
	if best == nil {
		return nil
	}
	return best.Read
}

// NewNode makes a node with fresh outputs and infers them. It is not yet part of a graph.
func NewNode(op *Op, attr any, from []string, in ...*Value) (*Node, error) {
	n := &Node{Op: op, Attr: attr, In: in, From: from}
	return n, n.infer()
}

func (n *Node) infer() error {
	if n.Out == nil {
		count := max(1, n.Op.NumOut)
		if n.Op.Outs != nil {
			count = n.Op.Outs(n.Attr)
		}
		for range count {
			n.Out = append(n.Out, &Value{Def: n})
		}
	}
	if err := n.Op.Infer(n); err != nil {
		return fmt.Errorf("%s: %w", n.Op.Name, err)
	}
	if err := n.computable(); err != nil {
		return err
	}
	if len(n.Out) > 0 {
		n.inferDims()
	}
	for _, v := range n.Out {
		if len(v.Shape) > MaxRank {
			return fmt.Errorf("%s: rank %d is beyond the limit of %d", n.Op.Name, len(v.Shape), MaxRank)
		}
		if lo, _ := sym.Product(v.Shape).Bounds(); lo > MaxElements {
			return fmt.Errorf("%s: a result of shape %v is beyond the limit of 2^40 elements", n.Op.Name, v.Shape)
		}
	}
	return nil
}

// maxDims is the most elements of a value whose contents are followed as dims.
const maxDims = 64

// inferDims computes the contents of an elementwise operator's output when those of all inputs are known.
func (n *Node) inferDims() {
	out := n.Out[0]
	if n.Op.Dim == nil || out.Elem.Float() && !n.Op.FloatDims {
		return
	}
	total, ok := sym.Product(out.Shape).Const()
	if !ok || total < 0 || total > maxDims {
		return
	}
	in := make([][]sym.Dim, len(n.In))
	for i, v := range n.In {
		if in[i] = v.Elements(); in[i] == nil && total > 0 {
			return
		}
	}
	dims := make([]sym.Dim, total)
	for k := range dims {
		args := make([]sym.Dim, len(in))
		for i, v := range n.In {
			args[i] = in[i][broadcastIndex(k, ConstShape(out.Shape), ConstShape(v.Shape))]
		}
		d, ok := n.Op.Dim(n, args)
		if !ok {
			return
		}
		dims[k] = d
	}
	out.Dims = dims
}

// Elements are Contents, and those of a constant of floats if they are whole.
func (v *Value) Elements() []sym.Dim {
	if all := v.Contents(); all != nil {
		return all
	}
	return v.wholeNumbers()
}

// maxSource is the highest rank of an input that Sources names: sizes, axes, counts, conditions.
const maxSource = 1

// Sources are what a value is computed from, as far as a program can be made for it: small inputs, and symbols that are sizes of inputs or
// are found from data.
func (v *Value) Sources() (inputs []*Value, symbols []string) {
	seen := map[*Value]bool{nil: true}
	for list := []*Value{v}; len(list) > 0; {
		v := list[0]
		list = list[1:]
		if seen[v] || v.Const != nil {
			continue
		}
		seen[v] = true
		switch {
		case v.Dims != nil:
			for _, d := range v.Dims {
				symbols = append(symbols, d.Symbols()...)
			}
		case v.Def != nil:
			list = append(list, v.Def.In...)
		case len(v.Shape) <= maxSource:
			inputs = append(inputs, v)
		}
	}
	return inputs, symbols
}

// wholeNumbers are the elements of a constant of floats as dims, nil if it is none, or if they are not whole or large.
func (v *Value) wholeNumbers() []sym.Dim {
	if v.Const == nil || !v.Elem.Float() || v.Const.Len() > maxDims {
		return nil
	}
	out := make([]sym.Dim, v.Const.Len())
	for i := range out {
		f := v.Const.At(i).F
		if f != math.Trunc(f) || math.Abs(f) > 1<<40 {
			return nil
		}
		out[i] = sym.Const(int64(f))
	}
	return out
}

// broadcastIndex maps flat index k of shape out to the flat index of an operand of shape in.
func broadcastIndex(k int, out, in []int64) int {
	idx, step := 0, 1
	for a, b := len(out)-1, len(in)-1; b >= 0; a, b = a-1, b-1 {
		c := k % int(out[a])
		k /= int(out[a])
		if in[b] != 1 {
			idx += c * step
		}
		step *= int(in[b])
	}
	return idx
}

// ConstShape is the shape as numbers; symbolic axes are -1.
func ConstShape(ds []sym.Dim) []int64 {
	out := make([]int64, len(ds))
	for i, d := range ds {
		n, ok := d.Const()
		if !ok {
			n = -1
		}
		out[i] = n
	}
	return out
}

// Contents are the elements of an integer or bool value as dims, or nil if they are not known or too many.
func (v *Value) Contents() []sym.Dim {
	if v.Dims != nil || v.Const == nil || v.Elem.Float() || v.Const.Len() > maxDims {
		return v.Dims
	}
	out := make([]sym.Dim, v.Const.Len())
	for i := range out {
		out[i] = sym.Const(v.Const.At(i).I)
	}
	return out
}

// ConstValue makes a constant.
func ConstValue(name string, t *Tensor) *Value {
	return &Value{Name: name, Elem: t.Elem, Shape: sym.Consts(t.Shape...), Const: t}
}

// Bind gives every symbol its value from the inputs' shapes and checks that they agree.
func (g *Graph) Bind(in []*Tensor) (sym.Binding, error) {
	b := sym.Binding{}
	for i, v := range g.Inputs {
		if in[i].Elem != v.Elem || len(in[i].Shape) != len(v.Shape) {
			return nil, fmt.Errorf("input %q is %v, want %v%v", v.Name, in[i], v.Elem, v.Shape)
		}
		for a, d := range v.Shape {
			if s := d.String(); len(d.Symbols()) == 1 && d.Symbols()[0] == s {
				if _, bound := b[s]; !bound {
					b[s] = in[i].Shape[a]
				}
			}
		}
	}
	for i, v := range g.Inputs {
		for a, d := range v.Shape {
			if want, err := d.Eval(b); err != nil || want != in[i].Shape[a] {
				return nil, fmt.Errorf("input %q axis %d is %d, want %d", v.Name, a, in[i].Shape[a], want)
			}
		}
	}
	return b, nil
}

// Eval runs the graph with the reference evaluator.
func (g *Graph) Eval(in ...*Tensor) ([]*Tensor, error) {
	if len(in) != len(g.Inputs) {
		return nil, fmt.Errorf("the graph has %d inputs, got %d", len(g.Inputs), len(in))
	}
	b, err := g.Bind(in)
	if err != nil {
		return nil, err
	}
	return g.EvalUnder(b, in...)
}

// EvalUnder is Eval with the symbols bound.
func (g *Graph) EvalUnder(b sym.Binding, in ...*Tensor) ([]*Tensor, error) {
	env := map[*Value]*Tensor{}
	for i, v := range g.Inputs {
		env[v] = in[i]
	}
	for _, n := range g.Nodes {
		if err := evalNode(n, b, env); err != nil {
			return nil, fmt.Errorf("%s (%v): %w", n.Op.Name, n.From, err)
		}
	}
	out := make([]*Tensor, len(g.Outputs))
	for i, v := range g.Outputs {
		out[i] = valueOf(v, env)
	}
	return out, nil
}

func valueOf(v *Value, env map[*Value]*Tensor) *Tensor {
	if v == nil {
		return nil
	}
	if v.Const != nil {
		return v.Const
	}
	return env[v]
}

func evalNode(n *Node, b sym.Binding, env map[*Value]*Tensor) error {
	in := make([]*Tensor, len(n.In))
	for i, v := range n.In {
		if in[i] = valueOf(v, env); in[i] == nil && v != nil {
			return fmt.Errorf("input %d has no value", i)
		}
	}
	out, err := n.Eval(b, in)
	if err != nil {
		return err
	}
	for i, v := range n.Out {
		env[v] = out[i]
	}
	return nil
}

// Eval computes the outputs of one node.
func (n *Node) Eval(b sym.Binding, in []*Tensor) ([]*Tensor, error) {
	switch {
	case n.Op.Eval != nil:
		return n.Op.Eval(n, b, in)
	case n.Op.Elem != nil:
		return n.evalElem(b, in)
	case n.Op.Row != nil:
		return n.evalRows(b, in)
	case n.Op.Run != nil:
		return n.evalPlain(b, in)
	}
	return nil, fmt.Errorf("operator %s has no reference meaning", n.Op.Name)
}

// OutShape is the shape of output i under a binding.
func (n *Node) OutShape(i int, b sym.Binding) ([]int64, error) { return EvalShape(n.Out[i].Shape, b) }

// EvalShape computes dims.
func EvalShape(ds []sym.Dim, b sym.Binding) ([]int64, error) {
	out := make([]int64, len(ds))
	for i, d := range ds {
		v, err := d.Eval(b)
		if err != nil {
			return nil, err
		}
		if v < 0 {
			return nil, fmt.Errorf("size %v is %d", d, v)
		}
		out[i] = v
	}
	return out, nil
}

// ElemKernel is the row kernel of an elementwise node: one buffer an input, then the output.
func (n *Node) ElemKernel() *loop.Kernel {
	b := loop.NewBuilder(n.Op.Name)
	in := make([]int, len(n.In))
	for i, v := range n.In {
		in[i] = b.Buffer(loop.Buf{Elem: v.Elem})
	}
	out := b.Buffer(loop.Buf{Elem: n.Out[0].Elem, Out: true})
	b.Loop(func() {
		args := make([]loop.Val, len(in))
		for i := range in {
			args[i] = b.Load(in[i])
		}
		b.Store(out, n.Op.Elem(b, n, args))
	})
	return b.Kernel()
}

// strided reads a tensor through a broadcast to another shape.
type strided struct {
	t  *Tensor
	at func(k int) int
}

func (s strided) At(k int) loop.Scalar     { return s.t.At(s.at(k)) }
func (s strided) Set(k int, v loop.Scalar) { s.t.Set(s.at(k), v) }

func (n *Node) evalElem(b sym.Binding, in []*Tensor) ([]*Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	out := NewTensor(n.Out[0].Elem, shape...)
	bufs := make([]loop.Buffer, 0, len(in)+1)
	for _, t := range in {
		bufs = append(bufs, strided{t, Broadcaster(shape, t.Shape)})
	}
	bufs = append(bufs, strided{out, func(k int) int { return k }})
	return []*Tensor{out}, n.ElemKernel().Run(out.Len(), bufs...)
}

// evalRows runs the row kernel on every row of the first input.
func (n *Node) evalRows(b sym.Binding, in []*Tensor) ([]*Tensor, error) {
	k := n.Op.Row(n)
	length := int(in[0].Shape[len(in[0].Shape)-1])
	rows := int(NumElements(in[0].Shape[:len(in[0].Shape)-1]))
	all := append([]*Tensor{}, in...)
	for i := range n.Out {
		shape, err := n.OutShape(i, b)
		if err != nil {
			return nil, err
		}
		all = append(all, NewTensor(n.Out[i].Elem, shape...))
	}
	for r := 0; r < rows; r++ {
		bufs := make([]loop.Buffer, len(all))
		for i, t := range all {
			start := r * length
			switch {
			case k.Bufs[i].Uniform:
				start = r
			case len(t.Shape) == 1 && len(in[0].Shape) > 1:
				start = 0
			}
			bufs[i] = strided{t, func(k int) int { return start + k }}
		}
		if err := k.Run(length, bufs...); err != nil {
			return nil, err
		}
	}
	return all[len(in):], nil
}

// Broadcaster maps the index of an element of shape out to the index of the element of shape in that it has, as in broadcasts to out.
func Broadcaster(out, in []int64) func(int) int {
	if NumElements(out) == NumElements(in) {
		return func(k int) int { return k }
	}
	if NumElements(in) == 1 {
		return func(int) int { return 0 }
	}
	return func(k int) int { return broadcastIndex(k, out, in) }
}
