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
		case inner.Def.Op == op.Erf && isErfArg(inner.Def.In[0], x): // erf(x / sqrt 2)
		case attr.Tanh && isTanhArg(inner.Def.In[0], x): // tanh(sqrt(2/pi) (x + 0.044715 x³))
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

// cubic holds the coefficients of a polynomial of degree three at most.
type cubic [4]float64

// maxTerms bounds how deep an expression is looked into.
const maxTerms = 12

// polynomial reads v as a polynomial in x: sums, products, quotients by constants and powers, in any order.
func polynomial(v, x *ir.Value, depth int) (p cubic, ok bool) {
	if v == x {
		return cubic{1: 1}, true
	}
	if k, isConst := scalar(v); isConst {
		return cubic{k}, true
	}
	if v.Def == nil || depth == 0 {
		return p, false
	}
	switch n := v.Def; n.Op {
	case op.Add, op.Mul, op.Div:
		a, ok1 := polynomial(n.In[0], x, depth-1)
		b, ok2 := polynomial(n.In[1], x, depth-1)
		if !ok1 || !ok2 {
			return p, false
		}
		return combine(n.Op, a, b)
	case op.Pow:
		a, ok := polynomial(n.In[0], x, depth-1)
		e, isConst := scalar(n.In[1])
		if !ok || !isConst || e != 2 && e != 3 {
			return p, false
		}
		p, ok = product(a, a)
		if ok && e == 3 {
			p, ok = product(p, a)
		}
		return p, ok
	}
	return p, false
}

func combine(o *ir.Op, a, b cubic) (cubic, bool) {
	switch o {
	case op.Add:
		for i := range a {
			a[i] += b[i]
		}
		return a, true
	case op.Mul:
		return product(a, b)
	}
	if b[0] == 0 || b != (cubic{b[0]}) {
		return a, false
	}
	return product(a, cubic{1 / b[0]})
}

func product(a, b cubic) (p cubic, ok bool) {
	for i, x := range a {
		for j, y := range b {
			if x*y == 0 {
				continue
			}
			if i+j >= len(p) {
				return p, false
			}
			p[i+j] += float64(x * y)
		}
	}
	return p, true
}

// isErfArg matches x / sqrt 2; isTanhArg sqrt(2/pi) (x + 0.044715 x³).
func isErfArg(v, x *ir.Value) bool { return is(v, x, cubic{1: math.Sqrt(0.5)}) }

func isTanhArg(v, x *ir.Value) bool {
	k := math.Sqrt(2 / math.Pi)
	return is(v, x, cubic{1: k, 3: k * 0.044715})
}

func is(v, x *ir.Value, want cubic) bool {
	p, ok := polynomial(v, x, maxTerms)
	for i := range p {
		ok = ok && near(p[i], want[i])
	}
	return ok
}
