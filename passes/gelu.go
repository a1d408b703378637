package passes

import (
	"math"

	"mmc/ir"
	"mmc/ir/op"
)

// GELU recomposes x Phi(x) from its spellings with erf and with tanh, in any order of the factors.
var GELU = Rewrite("gelu", "recomposes GELU", Rule{"gelu", func() *ir.Op { return op.Mul }, gelu})

func gelu(c *Context, n *ir.Node) *ir.Patch {
	if u := c.Only(n.Out[0]); u != nil && (u.Op == op.Mul || u.Op == op.Div) && isFactorOf(n, u) {
		return nil // the whole product is looked at from its last step
	}
	factors, k := c.factors(n.Out[0], true)
	if len(factors) != 2 || !near(k, 0.5) { // x * f / 2
		return nil
	}
	for i, f := range factors {
		x := factors[1-i]
		one, inner := plusConst(f) // x * (1 + inner) / 2
		if inner == nil || one != 1 || inner.Def == nil {
			continue
		}
		attr := op.GeluAttr{Tanh: inner.Def.Op == op.Tanh}
		switch {
		case inner.Def.Op == op.Erf && isScaled(inner.Def.In[0], x, math.Sqrt(0.5)): // erf(x / sqrt 2)
		case attr.Tanh && isTanhArg(c, inner.Def.In[0], x): // tanh(sqrt(2/pi) (x + 0.044715 x³))
		case inner.Def.Op == op.Erf || attr.Tanh:
			return c.Miss(n, "gelu", "the argument of %s is not the one of GELU", inner.Def.Op.Name)
		default:
			continue
		}
		p := ir.NewPatch(n, inner.Def)
		return p.Replace(n.Out[0], p.Emit1(op.Gelu, attr, x))
	}
	return nil
}

// isFactorOf reports whether u only multiplies n's result by a constant or by something of the same shape.
func isFactorOf(n, u *ir.Node) bool {
	if u.Op == op.Div {
		_, ok := scalar(u.In[1])
		return ok && u.In[0] == n.Out[0]
	}
	for _, o := range operands(u) {
		if _, ok := scalar(o[1]); ok && o[0] == n.Out[0] {
			return true
		}
	}
	return false
}

// factors takes a product apart: its factors that are no constants, and the product of the constants. Inner products must
// have no other reader.
func (c *Context) factors(v *ir.Value, root bool) (fs []*ir.Value, k float64) {
	n := v.Def
	if x, by, s := isScale(v, op.Mul, op.Div); x != nil && (root || c.Only(v) != nil) && s != nil {
		fs, k = c.factors(x, false)
		return fs, k * by
	}
	if n == nil || n.Op != op.Mul || !root && c.Only(v) == nil {
		return []*ir.Value{v}, 1
	}
	a, ka := c.factors(n.In[0], false)
	b, kb := c.factors(n.In[1], false)
	return append(a, b...), ka * kb
}

func isScaled(v, x *ir.Value, k float64) bool {
	y, by, _ := isScale(v, op.Mul, op.Div)
	return y == x && near(by, k)
}

// isTanhArg matches k (x + 0.044715 x³) and k x (1 + 0.044715 x²).
func isTanhArg(c *Context, v, x *ir.Value) bool {
	k := math.Sqrt(2 / math.Pi)
	y, by1, _ := isScale(v, op.Mul, op.Div)
	if y != nil && near(by1, k) {
		return isCubicSum(y, x) || isXTimes(y, x)
	}
	fs, kf := c.factors(v, true)
	return len(fs) == 2 && near(kf, k) && (fs[0] == x && isQuadratic(fs[1], x) || fs[1] == x && isQuadratic(fs[0], x))
}

func isCubicSum(v, x *ir.Value) bool {
	add := by(v, op.Add)
	if add == nil {
		return false
	}
	for _, o := range operands(add) {
		y, k, _ := isScale(o[1], op.Mul, op.Div)
		if o[0] == x && y != nil && near(k, 0.044715) && isPower(y, x, 3) {
			return true
		}
	}
	return false
}

func isXTimes(v, x *ir.Value) bool {
	m := by(v, op.Mul)
	if m == nil {
		return false
	}
	for _, o := range operands(m) {
		if o[0] == x && isQuadratic(o[1], x) {
			return true
		}
	}
	return false
}

func isQuadratic(v, x *ir.Value) bool {
	one, q := plusConst(v)
	if q == nil || one != 1 {
		return false
	}
	y, k, _ := isScale(q, op.Mul, op.Div)
	return y != nil && near(k, 0.044715) && isPower(y, x, 2)
}

func isPower(v, x *ir.Value, e float64) bool {
	if p := by(v, op.Pow); p != nil {
		k, ok := scalar(p.In[1])
		return ok && k == e && p.In[0] == x
	}
	m := by(v, op.Mul)
	if m == nil {
		return false
	}
	if e == 2 {
		return m.In[0] == x && m.In[1] == x
	}
	for _, o := range operands(m) {
		if o[0] == x && isPower(o[1], x, e-1) {
			return true
		}
	}
	return false
}
