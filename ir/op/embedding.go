package op

import (
	"fmt"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

// MaxTables is the most tables of an Embedding.
const MaxTables = 4

// Embedding is the sum of rows of tables, picked by one integer tensor each: inputs are table, indices, table, indices, …; tables
// are f32 of shape [rows, width], indices broadcast against each other. Rows are added from left to right.
var Embedding = ir.NewOp("embedding", "sum of picked rows of tables", nil)

func init() {
	Embedding.Infer = inferEmbedding
	Embedding.Eval = evalEmbedding
}

func inferEmbedding(n *ir.Node) error {
	if len(n.In)%2 != 0 || len(n.In) == 0 || len(n.In) > 2*MaxTables {
		return fmt.Errorf("%d inputs", len(n.In))
	}
	var shapes [][]sym.Dim
	for i := 0; i < len(n.In); i += 2 {
		table, idx := n.In[i], n.In[i+1]
		if table.Elem != loop.F32 || len(table.Shape) != 2 || table.Shape[1] != n.In[0].Shape[1] {
			return fmt.Errorf("table %d is %v%v", i/2, table.Elem, table.Shape)
		}
		if idx.Elem != loop.I64 && idx.Elem != loop.I32 {
			return fmt.Errorf("indices are %v", idx.Elem)
		}
		shapes = append(shapes, idx.Shape)
	}
	shape, err := ir.BroadcastShapes(shapes...)
	n.Out[0].Elem, n.Out[0].Shape = loop.F32, append(shape, n.In[0].Shape[1])
	return err
}

func evalEmbedding(n *ir.Node, b sym.Binding, in []*ir.Tensor) ([]*ir.Tensor, error) {
	shape, err := n.OutShape(0, b)
	if err != nil {
		return nil, err
	}
	width := shape[len(shape)-1]
	sum := ir.NewTensor(loop.F32, shape...)
	for t := 0; t < len(in); t += 2 {
		idx := broadcastTo(in[t+1], shape[:len(shape)-1])
		rows, err := gather(in[t], idx, 0, ir.NewTensor(loop.F32, shape...))
		if err != nil {
			return nil, err
		}
		for r := range int64(idx.Len()) {
			to, from := rowOf(sum, r, width), rowOf(rows[0], r, width)
			for i := range to {
				if t == 0 {
					to[i] = from[i]
				} else {
					to[i] += from[i]
				}
			}
		}
	}
	return []*ir.Tensor{sum}, nil
}

// EmbeddingRow is the kernel that adds n rows.
func EmbeddingRow(n int) *loop.Kernel {
	b := loop.NewBuilder("embedding")
	for range n {
		b.Buffer(loop.Buf{Elem: loop.F32})
	}
	y := b.Buffer(loop.Buf{Elem: loop.F32, Out: true})
	b.Loop(func() {
		v := b.Load(0)
		for i := 1; i < n; i++ {
			v = b.Add(v, b.Load(i))
		}
		b.Store(y, v)
	})
	return b.Kernel()
}
