package op

import (
	"errors"

	"mmc/ir"
	"mmc/ir/loop"
	"mmc/ir/sym"
)

func init() {
	ir.FromONNX("", "AffineGrid", 20, readAffineGrid)
}

// readAffineGrid maps the places of the result, -1 to 1 along each axis, by theta [batch, axes, axes+1].
func readAffineGrid(c *ir.Import) error {
	b := &builder{c: c}
	theta := b.need(0)
	size, ok, err := c.ConstInts(1, "")
	if b.err != nil || err != nil || !ok || len(size) != 4 && len(size) != 5 {
		return errors.Join(b.err, err, missing(ok && (len(size) == 4 || len(size) == 5), "four or five sizes"))
	}
	r, corners := len(size)-2, c.Int("align_corners", 0) != 0
	n := int64(1)
	for _, d := range size {
		if d < 1 || d > maxSamples || n > maxSamples/d {
			return ir.NotSupported("AffineGrid of sizes %v", size)
		}
		n *= d
	}
	n = ir.NumElements(size[2:])
	t := ir.NewTensor(loop.F32, n, int64(r+1))
	w, row := ir.Slice[float32](t), 0
	forEach(size[2:], func(idx []int64) {
		for k := range r {
			d, i := float64(size[1+r-k]), float64(idx[r-1-k]) // the last axis comes first
			x := (2*i+1)/d - 1
			if corners {
				x = 0
				if d > 1 {
					x = 2*i/(d-1) - 1
				}
			}
			w[row*(r+1)+k] = float32(x)
		}
		w[row*(r+1)+r] = 1
		row++
	})
	y := b.do(MatMul, nil, ir.ConstValue("", t), b.transpose(theta, 0, 2, 1))
	return b.done(b.reshape(y, dims(theta.Shape[0], sym.Consts(size[2:]...), r)))
}
