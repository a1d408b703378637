package codegen

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// lowerRecurrent makes the call of one direction of a recurrent layer. Constant recurrent weights are packed once.
func (l *lowering) lowerRecurrent(n *ir.Node) {
	a := n.Attr.(op.RecurrentAttr)
	x, r := n.In[0], n.In[1]
	steps, batch, hidden := x.Shape[0], x.Shape[1], r.Shape[0]
	state := batch.Mul(hidden).Mul(sym.Const(4))
	gates := state.Mul(sym.Const(op.Gates[a.Kind]))
	masked := n.In[6] != nil
	c := Call{Method: "Recurrent", Type: "rt.Recurrent", Kind: a.Kind}
	c.arg("Kind", text(fmt.Sprintf("'%c'", a.Kind[0])))
	c.arg("Steps", dim(steps))
	c.arg("Batch", dim(batch))
	c.arg("Hidden", dim(hidden))
	c.arg("Reverse", text(fmt.Sprint(a.Reverse)))
	c.arg("X", mem(l.buffer(x)))
	if r.Const != nil {
		c.arg("Panels", text("true"))
		c.arg("R", mem(Mem{Weight, l.constant(r, Panels), sym.Const(0)}))
	} else {
		c.arg("R", mem(l.buffer(r)))
		wide := r.Shape[1].CeilDiv(sym.Const(16)).Mul(sym.Const(16))
		c.arg("Packed", mem(l.allocBytes(wide.Mul(hidden).Mul(sym.Const(4)))))
	}
	for i, name := range []string{"H0", "C0", "Peep", "Bias", "Mask"} {
		if v := n.In[2+i]; v != nil {
			c.arg(name, mem(l.buffer(v)))
		}
	}
	c.arg("Y", mem(l.define(n.Out[0])))
	c.arg("H", mem(l.define(n.Out[1])))
	c.arg("C", mem(l.define(n.Out[2])))
	switch {
	case a.Kind == "lstm":
		c.arg("Cell", num(l.kernel(op.LSTMCell(a, n.In[4] != nil, masked))))
	case a.Kind == "rnn":
		c.arg("Cell", num(l.kernel(op.RNNCell(a, masked))))
	default:
		c.arg("Cell", num(l.kernel(op.GRUCell(a, n.In[5] != nil, masked))))
		c.arg("After", text(fmt.Sprint(a.Flag)))
	}
	if a.Kind == "gru" && !a.Flag {
		c.arg("Reset", num(l.kernel(op.GRUReset(a))))
		c.arg("RH", mem(l.allocBytes(state)))
		gates = gates.Add(gates)
	}
	c.arg("G", mem(l.allocBytes(gates)))
	c.Flops = sym.Const(2).Mul(steps).Mul(batch).Mul(hidden).Mul(r.Shape[1])
	l.emit(c)
}
