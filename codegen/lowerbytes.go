package codegen

import (
	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/op"
	"mmc/ir/sym"
)

// lowerBytes makes the call of a product of bytes, or of a convolution.
func (l *lowering) lowerBytes(n *ir.Node) {
	x, w, zero, bias, again := n.In[0], n.In[1], n.In[2], n.In[3], n.In[4]
	a, m := n.Attr.(op.ByteLinearAttr), sym.Product(x.Shape[:len(x.Shape)-1])
	c := Call{Method: "Bytes", Type: "rt.Bytes", Kind: "bytes"}
	c.arg("M", dim(m))
	c.arg("N", dim(w.Shape[1]))
	c.arg("K", dim(x.Shape[len(x.Shape)-1]))
	conv := x.Def != nil && l.inConv(x.Def)
	if !conv {
		from, step := l.rows(x)
		c.arg("A", mem(from))
		if step != x.Shape[len(x.Shape)-1] {
			c.arg("Row", dim(step.Mul(sym.Const(4))))
		}
	}
	c.arg("W", mem(Mem{Weight, l.constant(w, BytePanels), sym.Const(0)}))
	c.arg("Sums", mem(l.buffer(ir.ConstValue(w.Name, columnSums(w.Const)))))
	if zero != nil {
		c.arg("Zero", mem(l.buffer(zero)))
	}
	if bias != nil {
		c.arg("Bias", mem(l.buffer(bias)))
	}
	if again != nil {
		c.arg("More", num(again.Const.Len()))
		c.arg("Again", mem(l.buffer(again)))
	}
	c.arg("Lo", num(int(a.Lo)))
	if a.I32 {
		c.arg("Integers", text("true"))
	}
	word, packed := sym.Const(4), m.Mul(w.Shape[0].CeilDiv(sym.Const(4))).Mul(sym.Const(4))
	if conv {
		packed = sym.Product(x.Def.In[0].Shape)
	}
	c.arg("Packed", mem(l.allocBytes(packed)))
	c.arg("Start", mem(l.allocBytes(w.Shape[1].Mul(word))))
	c.arg("C", mem(l.define(n.Out[0])))
	c.Flops = sym.Const(2).Mul(m).Mul(w.Shape[0]).Mul(w.Shape[1])
	if conv {
		image := Call{}
		l.imageArgs(&image, x.Def.In[0], x, x.Def.Attr.(op.Im2ColAttr))
		c.Args = []Field{{"Bytes", Expr{Type: "rt.Bytes", List: c.Args}}, {"Image", Expr{Type: "rt.Conv", List: image.Args}}}
		c.Method, c.Type, c.Kind = "ByteConv", "rt.ByteConv", "byteconv"
	}
	l.emit(c)
}

// lowerByteMatMul makes the call of a product of two computed operands of bytes.
func (l *lowering) lowerByteMatMul(n *ir.Node) error {
	a, product := n.Attr.(op.ByteMatMulAttr), Call{}
	batch, err := l.matrices(&product, n)
	if err != nil {
		return err
	}
	x, y := n.In[0].Shape, n.In[1].Shape
	m, k, cols := x[len(x)-2], y[len(y)-2], y[len(y)-1]
	words, wide := k.CeilDiv(sym.Const(4)), cols.CeilDiv(sym.Const(16)).Mul(sym.Const(16))
	room := m.Add(wide).Mul(words.Add(sym.Const(1))).Mul(sym.Const(4)) // rt.ByteMatMulRoom
	product.arg("Packed", mem(l.allocBytes(batch.Mul(room))))
	c := Call{Method: "ByteMatMul", Type: "rt.ByteMatMul", Kind: "bytematmul", Flops: product.Flops}
	c.Args = []Field{{"MatMul", Expr{Type: "rt.MatMul", List: product.Args}}}
	for i, name := range []string{"ZeroA", "ZeroB"} {
		if zero := n.In[2+i]; zero != nil {
			c.arg(name, mem(l.buffer(zero)))
		}
	}
	c.arg("LoA", num(int(a.LoA)))
	c.arg("LoB", num(int(a.LoB)))
	if a.I32 {
		c.arg("Integers", text("true"))
	}
	l.emit(c)
	return nil
}

// columnSums are the sums of the columns of a matrix of i8, as i32.
func columnSums(w *ir.Tensor) *ir.Tensor {
	cols := int(w.Shape[1])
	sums := ir.NewTensor(loop.I32, w.Shape[1])
	for i, v := range ir.Slice[int8](w) {
		ir.Slice[int32](sums)[i%cols] += int32(v)
	}
	return sums
}
