package driver

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"

	"mmc/frontend/onnx"
	"mmc/ir"
)

// OpInfo is an ONNX operator that can be read.
type OpInfo struct {
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`
	Since   []int    `json:"since"`
	Types   []string `json:"types"`
	Targets []string `json:"targets"`
}

// Ops lists the operators.
func Ops(w io.Writer, asJSON bool, targets []string) error {
	list := []OpInfo{}
	for _, k := range onnx.Names() {
		o := OpInfo{Domain: k[0], Name: k[1], Types: []string{"f32"}, Targets: targets}
		for _, s := range ir.Spellings()[k] {
			o.Since = append(o.Since, s.Since)
		}
		sort.Ints(o.Since)
		list = append(list, o)
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"schema": 1, "ops": list})
	}
	for _, o := range list {
		fmt.Fprintf(w, "%-24s since opset %v\n", o.Name, o.Since)
	}
	return nil
}
