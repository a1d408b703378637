package onnxgo

import (
	"fmt"
	"math"
	"sort"

	"github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	"mmc/ir"
	_ "mmc/ir/op" // the operators register themselves
	"mmc/ir/sym"
)

// Backend receives a graph from onnx-go. It implements onnx.Backend and backend.ComputationBackend.
type Backend struct {
	*simple.WeightedDirectedGraph
	Opset int
	ops   []operation
}

type operation struct {
	name  string
	attrs map[string]any
	out   []*Node
}

// New is an empty backend for operators of opset 9, the newest that onnx-go decodes.
func New() *Backend {
	return &Backend{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(math.MaxFloat64, -1), Opset: 9}
}

// Node is a value of the graph: it has a name and may carry a tensor.
type Node struct {
	graph.Node
	name string
	t    tensor.Tensor
}

// SetName and GetName implement onnx.Namer.
func (n *Node) SetName(name string) { n.name = name }
func (n *Node) GetName() string     { return n.name }

// SetTensor and GetTensor implement onnx.DataCarrier.
func (n *Node) SetTensor(t tensor.Tensor) error {
	n.t = t
	return nil
}

func (n *Node) GetTensor() tensor.Tensor { return n.t }

// NewNode makes a node that is not yet in the graph.
func (b *Backend) NewNode() graph.Node { return &Node{Node: b.WeightedDirectedGraph.NewNode()} }

// ApplyOperation records an operator and the values it computes.
func (b *Backend) ApplyOperation(o onnx.Operation, out ...graph.Node) error {
	if ir.Reading("", o.Name, b.Opset) == nil {
		return &onnx.ErrNotImplemented{Operator: o.Name}
	}
	rec := operation{name: o.Name, attrs: o.Attributes}
	for _, n := range out {
		rec.out = append(rec.out, n.(*Node))
	}
	b.ops = append(b.ops, rec)
	return nil
}

// Graph builds the compiler's graph. Inputs are node IDs, as in onnx.Model.Input; other values that no operator computes must
// carry a tensor and become constants. Outputs are the values that no operator reads.
func (b *Backend) Graph(inputs ...int64) (*ir.Graph, error) {
	g := &ir.Graph{Hints: map[string]string{}, Words: ir.NewWords()}
	vals := map[int64]*ir.Value{}
	for _, id := range inputs {
		n, ok := b.Node(id).(*Node)
		if !ok || n.t == nil {
			return nil, fmt.Errorf("input %d has no tensor to take its shape from", id)
		}
		t, err := fromTensor(n.t)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", n.name, err)
		}
		v := &ir.Value{Name: n.name, Elem: t.Elem, Shape: sym.Consts(t.Shape...)}
		vals[id] = v
		g.Inputs = append(g.Inputs, v)
	}
	for i := range b.ops {
		if err := b.read(g, &b.ops[i], vals); err != nil {
			return nil, fmt.Errorf("%s: %w", b.ops[i].name, err)
		}
	}
	for _, n := range b.outputs() {
		g.Outputs, g.OutNames = append(g.Outputs, vals[n.ID()]), append(g.OutNames, n.name)
	}
	return g, g.Verify()
}

// outputs are the computed values that no operator reads, by ID.
func (b *Backend) outputs() []*Node {
	var out []*Node
	for _, o := range b.ops {
		for _, n := range o.out {
			if b.To(n.ID()).Len() == 0 {
				out = append(out, n)
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID() < out[j].ID() })
	return out
}

func (b *Backend) read(g *ir.Graph, o *operation, vals map[int64]*ir.Value) error {
	in, err := b.operands(o, vals)
	if err != nil {
		return err
	}
	attrs, err := attributes(o.attrs)
	if err != nil {
		return err
	}
	c := &ir.Import{Graph: g, From: o.out[0].name, Opset: b.Opset, Inputs: in, Attrs: attrs, NumOut: len(o.out)}
	if err := ir.Reading("", o.name, b.Opset)(c); err != nil {
		return err
	}
	if len(c.Out) < len(o.out) {
		return fmt.Errorf("%d outputs, want %d", len(c.Out), len(o.out))
	}
	for i, n := range o.out {
		vals[n.ID()] = c.Out[i]
	}
	return nil
}

// operands are the values an operator reads: edges lead from its output to them, weighted by their position.
func (b *Backend) operands(o *operation, vals map[int64]*ir.Value) ([]*ir.Value, error) {
	byPosition := map[int]*Node{}
	top := -1
	for it := b.From(o.out[0].ID()); it.Next(); {
		n := it.Node().(*Node)
		w, _ := b.Weight(o.out[0].ID(), n.ID())
		byPosition[int(w)] = n
		top = max(top, int(w))
	}
	var in []*ir.Value
	for i := 0; i <= top; i++ {
		n := byPosition[i]
		if n == nil {
			return nil, fmt.Errorf("operand %d is missing: onnx-go drops a value that is read twice", i)
		}
		v, err := value(n, vals)
		if err != nil {
			return nil, err
		}
		in = append(in, v)
	}
	if len(in) == 1 && in[0] == nil {
		return nil, nil // onnx-go gives operators without inputs an empty one
	}
	return in, nil
}

func value(n *Node, vals map[int64]*ir.Value) (*ir.Value, error) {
	if v := vals[n.ID()]; v != nil || n.t == nil {
		return v, nil
	}
	t, err := fromTensor(n.t)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", n.name, err)
	}
	vals[n.ID()] = ir.ConstValue(n.name, t)
	return vals[n.ID()], nil
}

// Run evaluates the graph on the tensors that its nodes carry and stores the outputs in theirs.
func (b *Backend) Run() error {
	var inputs []int64
	computed := map[int64]bool{}
	for _, o := range b.ops {
		for _, n := range o.out {
			computed[n.ID()] = true
		}
	}
	var tensors []*ir.Tensor
	for it := b.Nodes(); it.Next(); {
		n := it.Node().(*Node)
		if computed[n.ID()] || n.t == nil || n.t.Dtype() != tensor.Float32 || n.t.DataSize() == 0 {
			continue
		}
		inputs = append(inputs, n.ID())
	}
	sort.Slice(inputs, func(i, j int) bool { return inputs[i] < inputs[j] })
	for _, id := range inputs {
		t, err := fromTensor(b.Node(id).(*Node).t)
		if err != nil {
			return err
		}
		tensors = append(tensors, t)
	}
	g, err := b.Graph(inputs...)
	if err != nil {
		return err
	}
	out, err := g.Eval(tensors...)
	if err != nil {
		return err
	}
	for i, n := range b.outputs() {
		if n.t, err = toTensor(out[i]); err != nil {
			return err
		}
	}
	return nil
}
