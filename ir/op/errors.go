package op

import (
	"fmt"

	"mmc/ir"
)

// mixed is the error for operands of different element types.
func mixed(n *ir.Node) error {
	types := make([]any, len(n.In))
	for i, v := range n.In {
		types[i] = v.Elem
	}
	return fmt.Errorf("operands of different element types %v", types)
}

// axisOf makes a possibly negative axis absolute.
func axisOf(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside [%d, %d)", axis, -rank, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}
