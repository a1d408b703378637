package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"mmc/frontend/onnx"
	"mmc/ir"
	"mmc/ir/sym"
)

// Explanation is what explain prints as JSON.
type Explanation struct {
	Schema       int            `json:"schema"`
	OpsBefore    int            `json:"ops_before"`
	OpsAfter     int            `json:"ops_after"`
	Fused        []Fused        `json:"fused"`
	Missed       []Missed       `json:"missed"`
	Kernels      []KernelCount  `json:"kernels"`
	GFLOP        float64        `json:"gflop"`
	FLOPFormula  string         `json:"flop_formula"`
	Arena        Arena          `json:"arena"`
	WeightsBytes int64          `json:"weights_bytes"`
	Unsupported  []onnx.Missing `json:"unsupported"`
}

// Fused is one kind of fusion with its sites.
type Fused struct {
	Pass  string   `json:"pass"`
	Kind  string   `json:"kind"`
	Count int      `json:"count"`
	Sites []string `json:"sites"`
}

// Missed is a fusion that was nearly possible.
type Missed struct {
	Pass   string `json:"pass"`
	Site   string `json:"site"`
	Reason string `json:"reason"`
}

// KernelCount is how often the program calls one kind of kernel.
type KernelCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// Arena is the memory of a run.
type Arena struct {
	Formula string           `json:"formula"`
	At      map[string]int64 `json:"at"`
	Bytes   int64            `json:"bytes"`
}

func newExplanation() *Explanation {
	return &Explanation{Schema: 1, Fused: []Fused{}, Missed: []Missed{}, Kernels: []KernelCount{}, Unsupported: []onnx.Missing{}}
}

// Explain prints what became of the model; Options.Dims are the sizes that formulas are computed at.
func Explain(w io.Writer, path string, o Options, asJSON bool) error {
	e := newExplanation()
	c, err := CompileOpen(path, o)
	var uns *onnx.Unsupported
	if errors.As(err, &uns) {
		e.Unsupported = uns.List
		if asJSON {
			_ = json.NewEncoder(w).Encode(e)
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := e.fill(c, o.Dims); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(e)
	}
	e.print(w)
	return nil
}

func (e *Explanation) fill(c *Compiled, dims map[string]int64) error {
	e.OpsBefore, e.OpsAfter = c.Model.NumNodes, len(c.Graph.Nodes)
	for _, s := range c.Report.Fused {
		e.addFused(s.Pass, s.Kind, s.Where)
	}
	e.countRead(c.Graph)
	for _, s := range c.Report.Missed {
		e.Missed = append(e.Missed, Missed{s.Pass, s.Where, s.Reason})
	}
	counts := map[string]int{}
	for _, call := range c.Plan.Calls {
		if call.Kind != "" {
			counts[call.Kind]++
		}
	}
	for k, n := range counts {
		e.Kernels = append(e.Kernels, KernelCount{k, n})
	}
	sort.Slice(e.Kernels, func(i, j int) bool { return e.Kernels[i].Kind < e.Kernels[j].Kind })
	e.WeightsBytes = c.Plan.WeightBytes()
	hint := map[string]string{}
	b := sym.Binding{}
	e.Arena.At = map[string]int64{}
	for i, s := range c.Plan.Symbols {
		hint[s] = c.Plan.Hints()[i]
		b[s] = defaultSize(hint[s], i)
		if n, ok := dims[hint[s]]; ok {
			b[s] = n
		}
		e.Arena.At[hint[s]] = b[s]
	}
	show := func(d sym.Dim) string {
		return d.Format(func(s string) string { return hint[s] }, func(name, x, y string) string { return name + "(" + x + ", " + y + ")" })
	}
	e.Arena.Formula, e.FLOPFormula = show(c.Plan.Arena()), show(c.Plan.Flops())
	var err error
	if e.Arena.Bytes, err = c.Plan.Arena().Eval(b); err != nil {
		return err
	}
	flops, err := c.Plan.Flops().Eval(b)
	e.GFLOP = float64(flops) / 1e9
	return err
}

// defaultSize stands in for a size that is not given: one for the first axis, 128 for others.
func defaultSize(hint string, i int) int64 {
	if i == 0 || strings.Contains(hint, "batch") && !strings.Contains(hint, "_") {
		return 1
	}
	return 128
}

func (e *Explanation) addFused(pass, kind, site string) {
	for i := range e.Fused {
		if f := &e.Fused[i]; f.Pass == pass && f.Kind == kind {
			f.Count++
			f.Sites = append(f.Sites, site)
			return
		}
	}
	e.Fused = append(e.Fused, Fused{pass, kind, 1, []string{site}})
}

// countRead adds what the model holds composed already, as the newer exporter writes it.
func (e *Explanation) countRead(g *ir.Graph) {
	have := map[string]int{} // what the passes fused; what is added here does not count
	for _, f := range e.Fused {
		have[f.Kind] += f.Count
	}
	for _, n := range g.Nodes {
		kind := n.Op.Name
		if kind != "layernorm" && kind != "add_layernorm" && kind != "attention" && kind != "gelu" {
			continue
		}
		if kind == "add_layernorm" {
			kind = "layernorm"
		}
		if have[kind] > 0 {
			continue
		}
		e.addFused("(in the model)", kind, strings.Join(n.From, " "))
	}
}

func (e *Explanation) print(w io.Writer) {
	fmt.Fprintf(w, "%d operators in the model, %d after fusion\n\nfused\n", e.OpsBefore, e.OpsAfter)
	for _, f := range e.Fused {
		fmt.Fprintf(w, "  %-14s %4d  %s\n", f.Kind, f.Count, short(f.Sites))
	}
	if len(e.Missed) > 0 {
		fmt.Fprintln(w, "\nnearly fused")
	}
	for _, m := range e.Missed {
		fmt.Fprintf(w, "  %-14s %s: %s\n", m.Pass, m.Site, m.Reason)
	}
	fmt.Fprintln(w, "\nkernel calls")
	for _, k := range e.Kernels {
		fmt.Fprintf(w, "  %-14s %4d\n", k.Kind, k.Count)
	}
	fmt.Fprintf(w, "\nwork    %s FLOP\narena   %s bytes\n", e.FLOPFormula, e.Arena.Formula)
	fmt.Fprintf(w, "at      %v: %.3f GFLOP, %d bytes\nweights %d bytes\n", e.Arena.At, e.GFLOP, e.Arena.Bytes, e.WeightsBytes)
}

// short lists a few sites.
func short(sites []string) string {
	if len(sites) > 3 {
		return strings.Join(sites[:3], ", ") + ", …"
	}
	return strings.Join(sites, ", ")
}
