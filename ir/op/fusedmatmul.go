package op

import (
	"mmc/ir"
)

// The products that ONNX Runtime's optimiser writes: FusedMatMul is alpha A B with the last two axes of either exchanged, FusedGemm a
// Gemm with an activation.
func init() {
	ir.FromONNX("com.microsoft", "FusedMatMul", 1, readFusedMatMul)
	ir.FromONNX("com.microsoft", "FusedGemm", 1, readFusedGemm)
}

func readFusedMatMul(c *ir.Import) error {
	in, err := c.NeedAll(2)
	if err != nil {
		return err
	}
	if c.Int("transBatchA", 0) != 0 || c.Int("transBatchB", 0) != 0 {
		return ir.NotSupported("FusedMatMul that moves batch axes")
	}
	operands := []*ir.Value{in[0], in[1]}
	for i, name := range []string{"transA", "transB"} {
		if c.Int(name, 0) == 0 || len(in[i].Shape) < 2 {
			continue
		}
		if operands[i], err = swapLast(c, in[i]); err != nil {
			return err
		}
	}
	y, err := product(c, operands[0], operands[1])
	if err != nil {
		return err
	}
	return c.Return1(scaled(c, y, c.Float("alpha", 1)))
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
