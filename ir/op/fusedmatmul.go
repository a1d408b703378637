package op

import (
	"mmc/ir"
)

// The products that ONNX Runtime's optimiser writes: FusedMatMul is alpha A B with the last two axes of either exchanged, or its rows the
// first axis, FusedGemm a Gemm with an activation.
func init() {
	ir.FromONNX("com.microsoft", "FusedMatMul", 1, readFusedMatMul)
	ir.FromONNX("com.microsoft", "FusedGemm", 1, readFusedGemm)
}

func readFusedMatMul(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	for i, which := range []string{"A", "B"} {
		if len(in[i].Shape) < 2 {
			continue
		}
		if c.Int("transBatch"+which, 0) != 0 {
			if in[i], err = firstToRows(c, in[i]); err != nil {
				return err
			}
		}
		if c.Int("trans"+which, 0) != 0 {
			if in[i], err = swapLast(c, in[i]); err != nil {
				return err
			}
		}
	}
	y, err := product(c, in[0], in[1])
	if err != nil {
		return err
	}
	return c.Return1(scaled(c, y, c.Float("alpha", 1)))
}

// firstToRows moves the first axis behind all but the last.
func firstToRows(c *ir.Import, v *ir.Value) (*ir.Value, error) {
	var perm []int64
	for i := 1; i < len(v.Shape)-1; i++ {
		perm = append(perm, int64(i))
	}
	return transpose(c, v, append(perm, 0, int64(len(v.Shape)-1))...)
}

func swapLast(c *ir.Import, v *ir.Value) (*ir.Value, error) {
	perm := make([]int64, len(v.Shape))
	for i := range perm {
		perm[i] = int64(i)
	}
	n := len(perm)
	perm[n-2], perm[n-1] = perm[n-1], perm[n-2]
	return transpose(c, v, perm...)
}

func readFusedGemm(c *ir.Import) error {
	if err := readGemm(c); err != nil {
		return err
	}
	numbers := map[string]float32{}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		if a, ok := c.Attrs["activation_"+name]; ok {
			numbers[name] = a.F
		}
	}
	return c.Return1(activated(c, c.Out[0], numbers))
}
