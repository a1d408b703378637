package onnx

import (
	"errors"
	"fmt"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
	"mmc/ir/loop"
)

// scope is where names of values are looked up: the graph, or the body of a function.
type scope struct {
	vals   map[string]*ir.Value
	outer  *scope // of a graph inside an attribute: where names not defined in it are looked up
	opsets map[string]int
	attrs  map[string]*onnxpb.AttributeProto // a function's arguments
	stack  []string                          // the functions being inlined
}

func (s *scope) lookup(name string) *ir.Value {
	for ; s != nil; s = s.outer {
		if v := s.vals[name]; v != nil {
			return v
		}
	}
	return nil
}

// nodes reads a list of nodes. Problems are collected; the error is a *ir.Unify or an internal one.
func (r *reader) nodes(list []*onnxpb.NodeProto, s scope, prefix string) error {
	for _, i := range inOrder(list, &s) {
		n := list[i]
		what := prefix + nodeName(n, i)
		if r.numNodes++; r.numNodes > MaxNodes {
			return rejected("more than %d nodes", MaxNodes)
		}
		if !r.outputsAreNew(n, s, what) {
			continue
		}
		if err := r.node(n, s, what); err != nil {
			var u *ir.Unify
			var rej *Rejected
			if errors.As(err, &u) && u.Found() {
				err = ir.NotSupported("sizes of which one depends on data where they must be the same")
			} else if u != nil || errors.As(err, &rej) {
				return err
			}
			if !errors.Is(err, errBody) {
				r.problem(what+" ("+n.OpType+")", domainName(n.Domain), n.OpType, err)
			}
			for _, o := range n.Output {
				r.bad[o] = true
			}
		}
	}
	return nil
}

func nodeName(n *onnxpb.NodeProto, i int) string {
	if n.Name != "" && len(n.Name) <= 256 {
		return n.Name
	}
	return fmt.Sprintf("node %d", i)
}

func (r *reader) outputsAreNew(n *onnxpb.NodeProto, s scope, what string) bool {
	for _, o := range n.Output {
		if len(o) > MaxName {
			r.reject("node %.64q: an output name of %d bytes", what, len(o))
			return false
		}
		if o != "" && s.vals[o] != nil {
			r.reject("node %q: output %q is defined twice", what, o)
			return false
		}
	}
	return true
}

// errSkip marks a node whose inputs failed before: its own problem is not known.
var errSkip = errors.New("skipped")

// errBody says that nodes of a graph in an attribute failed, which have been reported.
var errBody = errors.New("its graph cannot be read")

func (r *reader) node(n *onnxpb.NodeProto, s scope, what string) error {
	in, err := r.nodeInputs(n, s, what)
	if errors.Is(err, errSkip) {
		r.checkKnown(n, s, what)
		return nil
	}
	if err != nil {
		return err
	}
	domain := domainName(n.Domain)
	if f := r.function(domain, n.OpType, n.Overload); f != nil {
		return r.inline(f, n, in, s, what)
	}
	read := ir.Reading(domain, n.OpType, s.opsets[domain])
	if read == nil {
		return ir.NotSupported("%s", unknown(domain, s.opsets[domain]))
	}
	attrs, err := r.attributes(n, s)
	if err != nil {
		return err
	}
	if in, err = r.widened(n, in, what); err != nil {
		return err
	}
	for i, v := range in {
		switch {
		case v == nil:
		case v.Sequence && !takesSequences[n.OpType]:
			return ir.NotSupported("input %d is a sequence", i)
		case v.Elem == loop.String && !takesStrings[n.OpType]:
			return ir.NotSupported("input %d holds strings", i)
		}
	}
	c := &ir.Import{Graph: r.g, From: what, Opset: s.opsets[domain], Inputs: in, Attrs: attrs, NumOut: numOutputs(n), Lookup: s.lookup}
	if err := read(c); err != nil {
		return err
	}
	return r.define(n, s, c.Out)
}

// takesSequences are the operators that know lists of values.
var takesSequences = map[string]bool{"SequenceInsert": true, "SequenceErase": true, "SequenceAt": true, "SequenceLength": true, "SequenceMap": true,
	"ConcatFromSequence": true, "Identity": true, "If": true, "Loop": true, "Optional": true, "OptionalGetElement": true, "OptionalHasElement": true}

// takesStrings are the operators that know strings, or move elements of any kind.
var takesStrings = map[string]bool{"StringNormalizer": true, "LabelEncoder": true, "StringConcat": true, "StringSplit": true, "RegexFullMatch": true, "Equal": true,
	"Where": true, "Identity": true, "Reshape": true, "Transpose": true, "Concat": true, "Split": true, "Slice": true, "Gather": true,
	"GatherElements": true, "GatherND": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true, "Expand": true, "Tile": true, "Shape": true,
	"Size": true, "Compress": true, "If": true, "Loop": true, "SequenceConstruct": true, "SequenceInsert": true, "SequenceAt": true,
	"SequenceLength": true, "SplitToSequence": true, "ConcatFromSequence": true}

// unknown says why there is no reading of an operator.
func unknown(domain string, opset int) string {
	if domain == "com.microsoft.nchwc" {
		return "weights are in the order of the CPU that the model was optimised on, which the file does not tell; save it with ORT_ENABLE_EXTENDED"
	}
	return fmt.Sprintf("operator not known at opset %d", opset)
}

// checkKnown reports a node that cannot be read whatever its inputs are.
func (r *reader) checkKnown(n *onnxpb.NodeProto, s scope, what string) {
	domain := domainName(n.Domain)
	if r.function(domain, n.OpType, n.Overload) == nil && ir.Reading(domain, n.OpType, s.opsets[domain]) == nil {
		r.missing.add(domain, n.OpType, unknown(domain, s.opsets[domain]), what)
	}
	for _, o := range n.Output {
		r.bad[o] = true
	}
}

func numOutputs(n *onnxpb.NodeProto) int {
	count := 0
	for i, o := range n.Output {
		if o != "" {
			count = i + 1
		}
	}
	return count
}

func (r *reader) define(n *onnxpb.NodeProto, s scope, out []*ir.Value) error {
	for i, o := range n.Output {
		if o == "" {
			continue
		}
		if i >= len(out) || out[i] == nil {
			return fmt.Errorf("output %d is asked for, which this operator does not give", i)
		}
		if out[i].Name == "" {
			out[i].Name = o
		}
		s.vals[o] = out[i]
	}
	return nil
}

func (r *reader) nodeInputs(n *onnxpb.NodeProto, s scope, what string) ([]*ir.Value, error) {
	var in []*ir.Value
	skip := false
	for i, name := range n.Input {
		v := s.lookup(name)
		if name != "" && v == nil {
			if r.bad[name] {
				skip = true
				continue
			}
			return nil, fmt.Errorf("input %d, %.64q, is not defined before this node", i, name)
		}
		in = append(in, v)
	}
	for len(in) > 0 && in[len(in)-1] == nil && !skip {
		in = in[:len(in)-1]
	}
	if skip {
		return nil, errSkip
	}
	return in, nil
}

func (r *reader) attributes(n *onnxpb.NodeProto, s scope) (map[string]ir.Attribute, error) {
	out := map[string]ir.Attribute{}
	for _, p := range n.Attribute {
		if _, twice := out[p.Name]; twice {
			return nil, fmt.Errorf("attribute %q is given twice", p.Name)
		}
		if p.RefAttrName != "" {
			arg := s.attrs[p.RefAttrName]
			if arg == nil {
				continue // an optional argument of the function that the call leaves out
			}
			q := *arg
			q.Name = p.Name
			p = &q
		}
		a, err := r.attribute(p, s)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", p.Name, err)
		}
		out[p.Name] = a
	}
	return out, nil
}

func (r *reader) attribute(p *onnxpb.AttributeProto, s scope) (ir.Attribute, error) {
	a := ir.Attribute{F: p.F, I: p.I, S: string(p.S), Floats: p.Floats, Ints: p.Ints}
	if p.G != nil {
		a.Body = func(in []*ir.Value) ([]*ir.Value, error) { return r.body(p.G, in, s) }
	}
	for _, s := range p.Strings {
		a.Strings = append(a.Strings, string(s))
	}
	if p.SparseTensor != nil {
		return a, ir.NotSupported("a sparse tensor")
	}
	if p.T != nil {
		t, err := r.tensor(p.T)
		if err != nil {
			return a, err
		}
		a.T = t
	}
	return a, nil
}

// function finds a function of the model's own.
func (r *reader) function(domain, name, overload string) *onnxpb.FunctionProto {
	for _, f := range r.model.Functions {
		if f.Name == name && domainName(f.Domain) == domain && f.Overload == overload {
			return f
		}
	}
	return nil
}

// inline reads a function's body in place of the call.
func (r *reader) inline(f *onnxpb.FunctionProto, n *onnxpb.NodeProto, in []*ir.Value, s scope, what string) error {
	id := f.Domain + "." + f.Name + "." + f.Overload
	for _, open := range s.stack {
		if open == id {
			return fmt.Errorf("function %s calls itself", f.Name)
		}
	}
	body := scope{vals: map[string]*ir.Value{}, opsets: map[string]int{}, attrs: map[string]*onnxpb.AttributeProto{},
		stack: append(append([]string{}, s.stack...), id)}
	for _, o := range f.OpsetImport {
		body.opsets[domainName(o.Domain)] = int(o.Version)
	}
	for d, v := range s.opsets {
		if _, ok := body.opsets[d]; !ok {
			body.opsets[d] = v
		}
	}
	for _, a := range append(append([]*onnxpb.AttributeProto{}, f.AttributeProto...), n.Attribute...) {
		body.attrs[a.Name] = a
	}
	if len(in) > len(f.Input) {
		return fmt.Errorf("%d inputs for a function of %d", len(in), len(f.Input))
	}
	for i, v := range in {
		if v != nil {
			body.vals[f.Input[i]] = v
		}
	}
	before := r.problems()
	if err := r.nodes(f.Node, body, what+"/"); err != nil {
		return err
	}
	if r.problems() > before {
		for _, o := range n.Output {
			r.bad[o] = true
		}
		return nil
	}
	out := make([]*ir.Value, len(f.Output))
	for i, o := range f.Output {
		if out[i] = body.vals[o]; out[i] == nil && r.bad[o] {
			for _, name := range n.Output {
				r.bad[name] = true
			}
			return nil
		}
		if out[i] == nil {
			return fmt.Errorf("function %s does not compute its output %q", f.Name, o)
		}
	}
	return r.define(n, s, out)
}
