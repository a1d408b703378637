package op

import (
	"fmt"
	"slices"

	"mmc/ir"
)

// The convolution that ONNX Runtime's optimiser writes: with an addend of the result's shape as input 3, and an activation.
func init() {
	ir.FromONNX("com.microsoft", "FusedConv", 1, readFusedConv)
}

// activationNumbers are the activations that an optimiser moves into what is before them, with the names of their numbers in the order of
// FusedConv's activation_params.
var activationNumbers = map[string][]string{
	"": nil, "Relu": nil, "Sigmoid": nil, "Tanh": nil, "LeakyRelu": {"alpha"}, "Clip": {"min", "max"}, "HardSigmoid": {"alpha", "beta"},
	"HardSwish": {"alpha", "beta"}, "Elu": {"alpha"}, "Selu": {"alpha", "gamma"}, "Softplus": nil, "Softsign": nil, "ThresholdedRelu": {"alpha"},
}

func readFusedConv(c *ir.Import) error {
	if err := readConv(c); err != nil {
		return err
	}
	y := c.Out[0]
	if z := c.Value(3); z != nil {
		var err error
		if y, err = c.Emit1(Add, nil, y, z); err != nil {
			return err
		}
	}
	numbers := map[string]float32{}
	names := activationNumbers[c.Str("activation", "")]
	for i, x := range c.Attrs["activation_params"].Floats {
		if i < len(names) {
			numbers[names[i]] = x
		}
	}
	return c.Return1(activated(c, y, numbers))
}

// activated applies the activation that the node's attribute of that name tells, with its numbers; those that are missing have the
// defaults of the operator of that name.
func activated(c *ir.Import, y *ir.Value, numbers map[string]float32) (*ir.Value, error) {
	const opset = 16 // all of them are there by then
	name := c.Str("activation", "")
	names, known := activationNumbers[name]
	if !known {
		return nil, ir.NotSupported("the activation %s", fmt.Sprintf("%.40q", name))
	}
	if name == "" {
		return y, nil
	}
	inner := *c
	inner.Inputs, inner.NumOut, inner.Opset, inner.Attrs = []*ir.Value{y}, 1, opset, map[string]ir.Attribute{}
	for k, x := range numbers {
		if slices.Contains(names, k) {
			inner.Attrs[k] = ir.Attribute{F: x}
		}
	}
	if err := ir.Reading("", name, opset)(&inner); err != nil {
		return nil, err
	}
	return inner.Out[0], nil
}
