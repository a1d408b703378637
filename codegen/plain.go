package codegen

import (
	"fmt"
	"strconv"
	"strings"

	"mmc/ir"
)

// plainArgs is the type of the arguments of functions of package plain.
const plainArgs = "plain.Args"

// lowerPlain calls a function of package plain.
func (l *lowering) lowerPlain(n *ir.Node) {
	p := n.Op.Plain(n)
	c := Call{Method: p.Func, Type: plainArgs, Kind: n.Op.Name, Count: p.Count.Sym()}
	in := Expr{Type: "[8]plain.Tensor"}
	for i, v := range n.In {
		if v != nil {
			in.List = append(in.List, Field{strconv.Itoa(i), plainTensor(v, l.buffer(v))})
		}
	}
	out := Expr{Type: "[4]plain.Tensor"}
	for i, v := range n.Out {
		out.List = append(out.List, Field{strconv.Itoa(i), plainTensor(v, l.define(v))})
	}
	if n.HoldsStrings() {
		c.arg("Words", text("s.Words()"))
	}
	c.arg("In", in)
	c.arg("Out", out)
	if len(p.Ints) > 0 {
		c.arg("Ints", text("[24]int{"+strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Ints), " ", ", "), "[]")+"}"))
	}
	if len(p.Floats) > 0 {
		list := make([]string, len(p.Floats))
		for i, f := range p.Floats {
			list[i] = strconv.FormatFloat(f, 'g', -1, 64)
		}
		c.arg("Floats", text("[8]float64{"+strings.Join(list, ", ")+"}"))
	}
	l.emit(c)
}

func plainTensor(v *ir.Value, m Mem) Expr {
	shape := ints(v.Shape)
	return Expr{List: []Field{{"Elem", text("plain." + strings.ToUpper(v.Elem.String()))}, {"Rank", num(len(v.Shape))}, {"Dims", shape}, {"P", mem(m)}}}
}

// plain prints such a call: the device is waited for first, and a count is kept.
func (w *writer) plain(c *Call, args []string) {
	w.f("s.Enter()\n")
	call := fmt.Sprintf("s.Leave(plain.%s(&plain.Args{%s}))", c.Method, strings.Join(args, ", "))
	if c.Count == "" {
		w.f("%s\n", call)
		return
	}
	for i, s := range w.p.Symbols {
		if s == c.Count {
			w.f("%s = %s\nd[%d] = %s\n", s, call, i, s)
		}
	}
}

func (p *Plan) usesPlain() bool {
	for _, c := range p.Calls {
		if c.Type == plainArgs {
			return true
		}
	}
	return false
}
