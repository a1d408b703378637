package onnx

import (
	"fmt"

	"mmc/frontend/onnx/onnxpb"
	"mmc/ir"
)

// maxNesting is the most graphs inside each other.
const maxNesting = 16

// body reads a graph that an attribute holds in place of its node: in are its inputs, and names it does not define are those of the
// scope around it.
func (r *reader) body(p *onnxpb.GraphProto, in []*ir.Value, around scope) ([]*ir.Value, error) {
	depth := 0
	for s := &around; s != nil; s = s.outer {
		depth++
	}
	if depth > maxNesting {
		return nil, rejected("graphs are nested more than %d deep", maxNesting)
	}
	if len(in) != len(p.Input) {
		return nil, fmt.Errorf("%d inputs for a graph of %d", len(in), len(p.Input))
	}
	s := scope{vals: map[string]*ir.Value{}, opsets: around.opsets, attrs: around.attrs, stack: around.stack, outer: &around}
	for i, v := range in {
		s.vals[p.Input[i].Name] = v
	}
	for _, t := range p.Initializer {
		v, err := r.tensor(t)
		if err != nil {
			return nil, fmt.Errorf("initializer %.64q: %w", t.Name, err)
		}
		s.vals[t.Name] = ir.ConstValue(t.Name, v)
	}
	before := r.problems()
	if err := r.nodes(p.Node, s, p.Name+"/"); err != nil {
		return nil, err
	}
	if r.problems() > before {
		return nil, errBody
	}
	out := make([]*ir.Value, len(p.Output))
	for i, o := range p.Output {
		if out[i] = s.lookup(o.Name); out[i] == nil && r.bad[o.Name] {
			return nil, errBody
		}
		if out[i] == nil {
			return nil, fmt.Errorf("the graph does not compute its output %.64q", o.Name)
		}
	}
	return out, nil
}
