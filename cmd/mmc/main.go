package main

import (
	"fmt"
	"os"

	"mmc/frontend/onnx"
	"mmc/passes"
)

func main() {
	for _, p := range os.Args[1:] {
		m, err := onnx.Load(p, onnx.Options{})
		if err != nil {
			fmt.Println(p, err)
			continue
		}
		rep, err := passes.Run(m.Graph, passes.Pipeline, passes.Options{Verify: true})
		if err != nil {
			fmt.Println(p, err)
			continue
		}
		count := map[string]int{}
		for _, s := range rep.Fused {
			count[s.Kind]++
		}
		fmt.Println(p, len(m.Graph.Nodes), count, rep.Missed)
		if len(os.Args) == 2 {
			fmt.Println(m.Graph)
		}
	}
}
