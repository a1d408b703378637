package codegen

import (
	"mmc/ir"
	"mmc/ir/op"
	"mmc/runtime"
)

// inLayers reports whether a Linear and the only one that reads its result are one call, which makes that result a block of rows at a time
// where it is large: a widening and a narrowing layer, such as the two of a transformer's MLP. Weights of more bytes than the runtime reads
// more than once for are left to two calls.
func (l *lowering) inLayers(n *ir.Node) bool {
	if n.Op != op.Linear || n.In[3] != nil || l.hasInner(n) {
		return false
	}
	u := l.onlyReader(n.Out[0])
	if u == nil || u.Op != op.Linear || u.In[0] != n.Out[0] || u.In[3] == n.Out[0] || l.inDepthwise(u) {
		return false
	}
	w, v := n.In[1].Const, u.In[1].Const
	return w.Shape[1] > w.Shape[0] && v.Shape[1] < v.Shape[0] && len(w.Data)+len(v.Data) <= rt.LayersWeights
}

// hasInner reports whether a Linear's input is made inside it.
func (l *lowering) hasInner(n *ir.Node) bool {
	x := n.In[0].Def
	if x == nil {
		return false
	}
	_, scales := l.inLinear(x)
	return scales || l.inConv(x)
}

// layersCall is the call of a layer and the one that reads it.
func (l *lowering) layersCall(n, u *ir.Node) Call {
	first := l.linearCall(n)
	second := l.linearCall(u)
	c := Call{Method: "Layers", Type: "rt.Layers", Kind: first.Kind + "+" + second.Kind, Flops: first.Flops.Add(second.Flops)}
	c.From = append(c.From, n.From...)
	c.arg("First", Expr{Type: "rt.Linear", List: first.Args})
	c.arg("Second", Expr{Type: "rt.Linear", List: second.Args})
	return c
}
