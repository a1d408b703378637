package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
)

// BitwiseAttr: Code is and, or, xor, shl or shr.
type BitwiseAttr struct{ Code string }

// Bitwise combines the bits of two integers, with broadcasting.
var Bitwise = ir.NewOp("bitwise", "and, or, xor or a shift of integers", BitwiseAttr{})

var bitCodes = map[string]loop.Code{"and": loop.And, "or": loop.Or, "xor": loop.Xor, "shl": loop.Shl, "shr": loop.Shr}

func init() {
	Bitwise.Infer = func(n *ir.Node) error {
		a := n.Attr.(BitwiseAttr)
		if _, ok := bitCodes[a.Code]; !ok || !n.In[0].Elem.Integer() {
			return fmt.Errorf("%q of %v", a.Code, n.In[0].Elem)
		}
		return sameAsFirst(n)
	}
	Bitwise.Elem = func(b *loop.Builder, n *ir.Node, in []loop.Val) loop.Val {
		return b.Do(bitCodes[n.Attr.(BitwiseAttr).Code], in[0], in[1])
	}
	for name, code := range map[string]string{"BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor"} {
		ir.FromONNX("", name, 18, func(c *ir.Import) error {
			b := &builder{c: c}
			return b.done(b.do(Bitwise, BitwiseAttr{code}, b.need(0), b.need(1)))
		})
	}
	ir.FromONNX("", "BitwiseNot", 18, func(c *ir.Import) error {
		b := &builder{c: c}
		x := b.need(0)
		return b.done(b.do(Bitwise, BitwiseAttr{"xor"}, x, b.like(x, -1)))
	})
	ir.FromONNX("", "BitShift", 11, func(c *ir.Import) error {
		code := map[string]string{"LEFT": "shl", "RIGHT": "shr"}[c.Str("direction", "")]
		b := &builder{c: c}
		return b.done(b.do(Bitwise, BitwiseAttr{code}, b.need(0), b.need(1)))
	})
}
