package codegen

import (
	"fmt"
	"strconv"
	"strings"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// namesFile is the only file that holds text of the model's: one table of quoted ASCII strings.
func namesFile(p *Plan, o Options) string {
	w := &writer{p: p}
	w.f("%spackage %s\n\nimport %q\n\nconst digest = %q\n\n", header, o.Package, o.Module+"/rt", o.Digest)
	for _, t := range []struct {
		name, doc string
		vs        []*ir.Value
	}{{"Inputs", "input", p.Graph.Inputs}, {"Outputs", "output", p.Graph.Outputs}} {
		w.f("// %s names the %s tensors.\nvar %s = []rt.Port{\n", t.name, t.doc, t.name)
		for i, v := range t.vs {
			name := v.Name
			if t.name == "Outputs" {
				name = p.Graph.OutNames[i]
			}
			w.f("{Name: %s, Elem: rt.%s, Axes: []rt.Axis{", strconv.QuoteToASCII(name), strings.ToUpper(v.Elem.String()))
			for _, d := range v.Shape {
				w.f("%s,", p.axis(d))
			}
			w.f("}")
			if v.Fixed != nil && t.name == "Inputs" {
				w.f(", Fixed: %s", strconv.QuoteToASCII(string(v.Fixed.Data)))
			}
			w.f("},\n")
		}
		w.f("}\n\n")
	}
	w.f("// symbolNames are the model's names of the sizes that may change.\nvar symbolNames = [...]string{")
	for _, s := range p.Hints() {
		w.f("%s,", strconv.QuoteToASCII(s))
	}
	if p.usesStrings() {
		w.f("}\n\n// words are the model's strings, by number.\nvar words = []string{")
		for _, s := range p.Graph.Words.List() {
			w.f("%s,", strconv.QuoteToASCII(s))
		}
	}
	w.f("}\n\n// factNames say where the program relies on a limit.\nvar factNames = [...]string{")
	for _, r := range p.Graph.Requires {
		w.f("%s,", strconv.QuoteToASCII(r.Why))
	}
	w.f("}\n\n// stepNames are the steps' kinds and the model's nodes that they come from.\nvar stepNames = [...]rt.StepName{\n")
	for _, c := range p.Steps() {
		w.f("{Kind: %q, From: %s},\n", c.Kind, strconv.QuoteToASCII(strings.Join(c.From, " ")))
	}
	w.f("}\n")
	return w.body.String()
}

// usesStrings reports whether the program needs a table of strings.
func (p *Plan) usesStrings() bool {
	for _, v := range append(append([]*ir.Value{}, p.Graph.Inputs...), p.Graph.Outputs...) {
		if v.Elem == loop.String {
			return true
		}
	}
	for _, n := range p.Graph.Nodes {
		if n.HoldsStrings() {
			return true
		}
	}
	return false
}

// mayBeZero lists which symbols may be 0, or "" if none may.
func (p *Plan) mayBeZero() string {
	list, any := make([]string, len(p.Symbols)), false
	for i, s := range p.Symbols {
		list[i] = strconv.FormatBool(sym.MayBeZero(s))
		any = any || sym.MayBeZero(s)
	}
	if !any {
		return ""
	}
	return strings.Join(list, ", ")
}

// axis describes an axis of an input: a number, or a symbol with what else the size is made of.
func (p *Plan) axis(d sym.Dim) string {
	if n, ok := d.Const(); ok {
		return fmt.Sprintf("{Const: %d, Sym: -1}", n)
	}
	for i, s := range p.Symbols {
		if d == sym.Sym(s) {
			return fmt.Sprintf("{Sym: %d}", i)
		}
	}
	fn := "func(d []int) int {"
	for i, s := range p.Symbols {
		fn += fmt.Sprintf("%s := d[%d]; _ = %s;", s, i, s)
	}
	return fmt.Sprintf("{Sym: -1, Size: %s return %s}}", fn, goDim(d))
}

// Hints are the names of the symbols for people: the model's, made different from each other.
func (p *Plan) Hints() []string {
	out := make([]string, len(p.Symbols))
	used := map[string]bool{}
	for i, s := range p.Symbols {
		h := p.Graph.Hints[s]
		if h == "" {
			h = s
		}
		for n := 2; used[h]; n++ {
			h = fmt.Sprintf("%s_%d", p.Graph.Hints[s], n)
		}
		used[h] = true
		out[i] = h
	}
	return out
}
