package onnx

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"mmc/ir"
	"mmc/ir/sym"
)

// Rejected says that the model is malformed or beyond a limit. Each problem names the node or tensor.
type Rejected struct{ Problems []string }

func (r *Rejected) Error() string { return listed("model rejected", r.Problems) }

// maxListed is the most problems that an error prints.
const maxListed = 50

func listed(title string, lines []string) string {
	rest := ""
	if len(lines) > maxListed {
		rest = fmt.Sprintf("\n  … and %d more", len(lines)-maxListed)
		lines = lines[:maxListed]
	}
	if len(lines) == 1 {
		return title + ": " + lines[0]
	}
	return title + ":\n  " + strings.Join(lines, "\n  ") + rest
}

func rejected(format string, args ...any) error {
	return &Rejected{[]string{fmt.Sprintf(format, args...)}}
}

// Missing is one kind of unsupported operator or feature.
type Missing struct {
	Op     string `json:"op"`
	Domain string `json:"domain"`
	Count  int    `json:"count"`
	Why    string `json:"why"`
	First  string `json:"first"` // the first node concerned
}

// Unsupported lists everything the model needs that this compiler does not have, with counts. Inputs are those whose contents some
// operator has to know, Sizes those axes of inputs: with them fixed there is less that is missing.
type Unsupported struct {
	List   []Missing
	Inputs []string
	Sizes  []Size
}

// Size is an open axis of an input. Name is the model's for it or, if it has none, its symbol: what Options.Dims knows it by, unless the model
// calls another axis so.
type Size struct {
	Name, Input string
	Axis        int
}

// needs adds the inputs that v is computed from, and the axes of which it is.
func (u *Unsupported) needs(v *ir.Value, g *ir.Graph) {
	if v == nil {
		return
	}
	inputs, symbols := v.Sources()
	for _, in := range inputs {
		if !slices.Contains(u.Inputs, in.Name) {
			u.Inputs = append(u.Inputs, in.Name)
		}
	}
	for _, s := range symbols {
		u.needsSize(s, g)
	}
}

func (u *Unsupported) needsSize(symbol string, g *ir.Graph) {
	for _, v := range g.Inputs {
		axis := slices.Index(v.Shape, sym.Sym(symbol))
		if axis < 0 {
			continue
		}
		z := Size{g.Hints[symbol], v.Name, axis}
		if z.Name == "" {
			z.Name = ownName(symbol)
		}
		if !slices.Contains(u.Sizes, z) {
			u.Sizes = append(u.Sizes, z)
		}
		return
	}
}

func (u *Unsupported) Error() string {
	lines := make([]string, len(u.List))
	for i, m := range u.List {
		name := m.Op
		if m.Domain != "" {
			name = m.Domain + "." + m.Op
		}
		lines[i] = fmt.Sprintf("%s × %d: %s (first at %s)", name, m.Count, m.Why, m.First)
	}
	hint := ""
	if len(u.Inputs) > 0 {
		hint = fmt.Sprintf("\nit may help to fix inputs: --fix %s=VALUE", strings.Join(u.Inputs, "=VALUE --fix "))
	}
	if len(u.Sizes) > 0 {
		hint += "\nit may help to bind axes:"
	}
	for _, z := range u.Sizes {
		hint += fmt.Sprintf(" --dim %s=N", z.Name)
	}
	return listed("not supported", lines) + hint
}

func (u *Unsupported) add(domain, op, why, node string) {
	for i := range u.List {
		if m := &u.List[i]; m.Domain == domain && m.Op == op && m.Why == why {
			m.Count++
			return
		}
	}
	u.List = append(u.List, Missing{Op: op, Domain: domain, Count: 1, Why: why, First: node})
}

func (u *Unsupported) sort() {
	sort.SliceStable(u.List, func(i, j int) bool {
		a, b := u.List[i], u.List[j]
		if a.Count != b.Count {
			return a.Count > b.Count
		}
		return a.Domain+a.Op < b.Domain+b.Op
	})
}
