package driver

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"mmc/frontend/onnx"
	"mmc/ir"
)

//go:embed report.html
var reportPage string

// reportNode is a node of a graph as the page lists it.
type reportNode struct {
	Op   string   `json:"op"`
	Type string   `json:"type"`
	From []string `json:"from"`
}

// reportData is what the page holds beside the explanation.
type reportData struct {
	Explanation *Explanation `json:"explanation"`
	Before      []reportNode `json:"before"`
	After       []reportNode `json:"after"`
	Steps       []reportNode `json:"steps"`
}

// Report writes what became of the model as one HTML page that needs nothing else: what was fused and what nearly was, kernels and memory,
// and the graph before and after, each node with the model's nodes it comes from.
func Report(file, path string, o Options) error {
	e := newExplanation()
	c, err := CompileOpen(path, o)
	if err != nil {
		return err
	}
	if err := e.fill(c, o.Dims); err != nil {
		return err
	}
	m, err := onnx.Load(path, c.o.reading())
	if err != nil {
		return err
	}
	data := reportData{Explanation: e, Before: reportNodes(m.Graph), After: reportNodes(c.Graph)}
	for _, s := range c.Plan.Steps() {
		data.Steps = append(data.Steps, reportNode{Op: s.Kind, From: s.From})
	}
	return writeTo(file, func(w writer) error { return writeReport(w, filepath.Base(strings.TrimSuffix(path, "/")), data) })
}

func reportNodes(g *ir.Graph) []reportNode {
	out := make([]reportNode, len(g.Nodes))
	for i, n := range g.Nodes {
		types := make([]string, len(n.Out))
		for k, v := range n.Out {
			types[k] = v.Elem.String() + "[" + strings.ReplaceAll(string(ir.MakeDims(v.Shape)), ";", ",") + "]"
		}
		out[i] = reportNode{n.Op.Name, strings.Join(types, " "), n.From}
	}
	return out
}

// writeReport fills the page. Names of the model's are data inside a script element that is not run: JSON with < escaped.
func writeReport(w io.Writer, title string, data reportData) error {
	t, err := template.New("report").Parse(reportPage)
	if err != nil {
		return err
	}
	text, err := json.Marshal(data) // escapes <, > and &
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"Title": title, "Data": template.JS(text)})
}
