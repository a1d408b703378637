package op

import (
	"mmc/ir"
	"mmc/ir/loop"
)

// FunctionAttr names one of the circular and hyperbolic functions, as Go's package math does.
type FunctionAttr struct{ Name string }

// Function is one of Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh and Tan, elementwise, computed in f64 and rounded.
var Function = ir.NewOp("function", "a circular or hyperbolic function, elementwise", FunctionAttr{})

func init() {
	Function.Infer = func(n *ir.Node) error {
		if _, ok := loop.MathFuncs[n.Attr.(FunctionAttr).Name]; !ok || !n.In[0].Elem.Float() {
			return ir.NotSupported("%s of %v", n.Attr.(FunctionAttr).Name, n.In[0].Elem)
		}
		return sameAsFirst(n)
	}
	Function.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		return b.Call(n.Attr.(FunctionAttr).Name, in[0])
	}
	for _, name := range []string{"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Tan"} {
		ir.FromONNX("", name, 1, func(c *ir.Import) error {
			in, err := c.NeedAll(1)
			if err != nil {
				return err
			}
			return c.Return(c.Emit(Function, FunctionAttr{name}, in...))
		})
	}
}
