package op

import (
	"fmt"
	"maps"
	"slices"

	"mmc/ir"
	"mmc/ir/sym"
)

// LoopAttr describes a loop that is left in the program. Body runs for Var = 0 … Trips-1, a symbol of its own. Its first States inputs
// are values that each iteration makes anew for the next one; the others stay. Its outputs are the new states, then what is collected.
// With While the first state is a condition, looked at before each iteration; nothing is collected then.
type LoopAttr struct {
	Body   *ir.Graph
	Var    string
	Trips  ir.DimList
	States int64
	While  bool
}

// Loop runs a graph again and again. Inputs are the first states and what else the graph reads; outputs the last states and, with a new
// first axis of Trips, what was collected (ONNX Loop and Scan, opset 13).
var Loop = ir.NewOp("loop", "runs a graph again and again", LoopAttr{})

func init() {
	Loop.Outs = func(attr any) int {
		if b := attr.(LoopAttr).Body; b != nil {
			return len(b.Outputs)
		}
		return 0
	}
	Loop.Body = func(n *ir.Node) *ir.Graph { return n.Attr.(LoopAttr).Body }
	Loop.Infer = inferLoop
	Loop.Eval = evalLoop
}

func inferLoop(n *ir.Node) error {
	a := n.Attr.(LoopAttr)
	states := int(a.States)
	if a.Body == nil || len(n.In) != len(a.Body.Inputs) || states > len(n.In) || states > len(a.Body.Outputs) || a.While && states < 1 {
		return fmt.Errorf("%d inputs, %d states for a graph that does not have as many", len(n.In), states)
	}
	for i, v := range n.In {
		if err := fits(v, a.Body.Inputs[i]); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	for i, v := range a.Body.Outputs {
		out := n.Out[i]
		if i < states {
			if err := fits(v, n.In[i]); err != nil {
				return fmt.Errorf("state %d: %w", i, err)
			}
			out.Elem, out.Shape = n.In[i].Elem, n.In[i].Shape
			continue
		}
		out.Elem, out.Shape = v.Elem, dims(a.Trips.List(), v.Shape)
	}
	return nil
}

// short reports whether the body surely runs no more often than that, with the loops in it.
func (a LoopAttr) short(most int64) bool {
	trips, known := a.Trips.List()[0].Const()
	if !known || trips > most {
		return false
	}
	for _, n := range a.Body.Nodes {
		if n.Op == Loop && !n.Attr.(LoopAttr).short(most/max(trips, 1)) {
			return false
		}
	}
	return true
}

// fits is nil if a value can take the place of another.
func fits(v, w *ir.Value) error {
	if v == nil || v.Elem != w.Elem || len(v.Shape) != len(w.Shape) {
		return fmt.Errorf("a value of another type or rank")
	}
	for i, d := range v.Shape {
		if err := ir.Equal(d, w.Shape[i]); err != nil {
			return err
		}
	}
	return nil
}

func evalLoop(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	a := n.Attr.(LoopAttr)
	trips, err := a.Trips.List()[0].Eval(b)
	if err != nil {
		return nil, err
	}
	if b == nil && !a.short(maxUnrolled) { // while compiling
		return nil, fmt.Errorf("a loop of many iterations")
	}
	in = slices.Clone(in)
	states := int(a.States)
	out := make([]*ir.Tensor, len(n.Out))
	for k := states; k < len(out); k++ {
		shape, err := n.OutShape(k, b)
		if err != nil {
			return nil, err
		}
		out[k] = ir.NewTensor(n.Out[k].Elem, shape...)
	}
	for i := range trips {
		if a.While && in[0].At(0).I == 0 {
			break
		}
		inner := maps.Clone(b)
		if inner == nil {
			inner = sym.Binding{}
		}
		inner[a.Var] = i
		res, err := a.Body.EvalUnder(inner, in...)
		if err != nil {
			return nil, err
		}
		copy(in, res[:states])
		for k := states; k < len(out); k++ {
			size := len(res[k].Data)
			copy(out[k].Data[int(i)*size:], res[k].Data)
		}
	}
	copy(out, in[:states])
	return out, nil
}
