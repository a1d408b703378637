package ir

import (
	"fmt"

	"mmc/ir/loop"
	"mmc/ir/sym"
)

// Attribute is a decoded attribute of an ONNX node.
type Attribute struct {
	F       float32
	I       int64
	S       string
	T       *Tensor
	Floats  []float32
	Ints    []int64
	Strings []string
	Body    func(in []*Value) ([]*Value, error) // of an attribute that holds a graph: reads the graph in place of the node
}

// Unsupported is the error for a model that is valid but needs something this compiler does not have. Unknown is the value whose
// contents would have to be known for it, or nil.
type Unsupported struct {
	Why     string
	Unknown *Value
}

func (u *Unsupported) Error() string { return u.Why }

// NotSupported makes an *Unsupported.
func NotSupported(format string, args ...any) error {
	return &Unsupported{Why: fmt.Sprintf(format, args...)}
}

// UnknownContents is NotSupported for an operator that needs the contents of v while the model is compiled.
func UnknownContents(v *Value, format string, args ...any) error {
	return &Unsupported{fmt.Sprintf(format, args...), v}
}

// Import is one ONNX node being read: its inputs as values, its attributes decoded.
type Import struct {
	Graph  *Graph
	From   string // the node's name, for messages
	Opset  int    // version of the node's domain
	Inputs []*Value
	Attrs  map[string]Attribute
	NumOut int
	Lookup func(name string) *Value // what a name of the model stands for here, or nil
	Out    []*Value                 // set by Return
}

// Value is input i, or nil if it is absent, as every one below 0 is.
func (c *Import) Value(i int) *Value {
	if i >= 0 && i < len(c.Inputs) {
		return c.Inputs[i]
	}
	return nil
}

// Need is input i, which must be there.
func (c *Import) Need(i int) (*Value, error) {
	if v := c.Value(i); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("input %d is missing", i)
}

// NeedAll are the inputs, of which there must be exactly n.
func (c *Import) NeedAll(n int) ([]*Value, error) {
	if len(c.Inputs) != n {
		return nil, fmt.Errorf("%d inputs, want %d", len(c.Inputs), n)
	}
	for i := range c.Inputs {
		if _, err := c.Need(i); err != nil {
			return nil, err
		}
	}
	return c.Inputs, nil
}

// Int, Float, Str and Ints read an attribute or its default.
func (c *Import) Int(name string, def int64) int64 {
	if a, ok := c.Attrs[name]; ok {
		return a.I
	}
	return def
}

func (c *Import) Float(name string, def float32) float32 {
	if a, ok := c.Attrs[name]; ok {
		return a.F
	}
	return def
}

func (c *Import) Str(name, def string) string {
	if a, ok := c.Attrs[name]; ok {
		return a.S
	}
	return def
}

func (c *Import) Ints(name string) ([]int64, bool) {
	a, ok := c.Attrs[name]
	return a.Ints, ok
}

// Dims are the contents of integer input i, or of the ints attribute of that name if the node has it; ok is false if the
// input is absent. Contents that depend on data are not supported.
func (c *Import) Dims(i int, name string) (ds []sym.Dim, ok bool, err error) {
	if v, has := c.Ints(name); has {
		return sym.Consts(v...), true, nil
	}
	v := c.Value(i)
	if v == nil {
		return nil, false, nil
	}
	if ds := v.Contents(); ds != nil || v.Const != nil && v.Const.Len() == 0 {
		return ds, true, nil
	}
	return nil, false, UnknownContents(v, "%s depends on data", inputName(i, name))
}

func inputName(i int, name string) string {
	if name == "" {
		return fmt.Sprintf("input %d", i)
	}
	return fmt.Sprintf("input %d (%s)", i, name)
}

// ConstInts is Dims for contents that must be plain numbers.
func (c *Import) ConstInts(i int, name string) (v []int64, ok bool, err error) {
	ds, ok, err := c.Dims(i, name)
	if err != nil || !ok {
		return nil, ok, err
	}
	for _, d := range ds {
		n, isConst := d.Const()
		if !isConst {
			return nil, false, NotSupported("%s depends on the inputs' shapes", inputName(i, name))
		}
		v = append(v, n)
	}
	return v, true, nil
}

// foldLimit is the most elements of a result that the reader computes at once; larger ones wait for the fold pass.
const foldLimit = 1 << 12

// Emit adds a node to the graph; results whose contents are known become constants.
func (c *Import) Emit(op *Op, attr any, in ...*Value) ([]*Value, error) {
	n, err := NewNode(op, attr, []string{c.From}, in...)
	if err != nil {
		return nil, err
	}
	if out := Fold(n, foldLimit); out != nil {
		return out, nil
	}
	c.Graph.Nodes = append(c.Graph.Nodes, n)
	return n.Out, nil
}

// Emit1 is Emit for an operator of one output.
func (c *Import) Emit1(op *Op, attr any, in ...*Value) (*Value, error) {
	out, err := c.Emit(op, attr, in...)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// Return names the values of the node's outputs.
func (c *Import) Return(vs []*Value, err error) error {
	c.Out = vs
	return err
}

// Return1 is Return for one output.
func (c *Import) Return1(v *Value, err error) error { return c.Return([]*Value{v}, err) }

// Scalar makes an f32 or integer constant of rank 0 in the type of like.
func Scalar(like loop.Elem, x float64) *Value {
	t := NewTensor(like)
	t.Set(0, loop.Scalar{F: x, I: int64(x)})
	return ConstValue("", t)
}

// Fold returns constants for the outputs of n if their contents are known and at most limit elements, else nil.
func Fold(n *Node, limit int64) []*Value {
	if len(n.Out) == 1 && n.Out[0].Dims != nil {
		if t := constDims(n.Out[0]); t != nil {
			return []*Value{ConstValue(n.Out[0].Name, t)}
		}
	}
	in := make([]*Tensor, len(n.In))
	for i, v := range n.In {
		if v != nil && v.Const == nil {
			return nil
		}
		if v != nil {
			in[i] = v.Const
		}
	}
	for _, v := range n.Out {
		size, ok := sym.Product(v.Shape).Const()
		if !ok || size > limit {
			return nil
		}
	}
	out, err := n.Eval(nil, in)
	if err != nil {
		return nil
	}
	vals := make([]*Value, len(out))
	for i, t := range out {
		vals[i] = ConstValue(n.Out[i].Name, t)
	}
	return vals
}

// Computed is the contents of a value that is made of constants alone, or nil: results too large for the reader to compute at once wait in nodes.
func Computed(v *Value) *Tensor {
	if v.Const != nil || v.Def == nil || len(v.Def.Out) != 1 {
		return v.Const
	}
	in := make([]*Tensor, len(v.Def.In))
	for i, x := range v.Def.In {
		if x == nil {
			continue
		}
		if in[i] = Computed(x); in[i] == nil {
			return nil
		}
	}
	out, err := v.Def.Eval(nil, in)
	if err != nil {
		return nil
	}
	return out[0]
}

func constDims(v *Value) *Tensor {
	t := NewTensor(v.Elem, ConstShape(v.Shape)...)
	for i, d := range v.Dims {
		x, ok := d.Const()
		if !ok {
			return nil
		}
		t.Set(i, loop.Scalar{F: float64(x), I: x})
	}
	return t
}
