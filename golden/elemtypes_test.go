package golden

import (
	"fmt"
	"testing"

	"mmc/ir"
	"mmc/ir/loop"
)

// TestElementTypes applies every elementwise operator to constants of every type: what its shape rule takes it must be able to compute.
func TestElementTypes(t *testing.T) {
	for name, o := range ir.Ops() {
		if o.Elem == nil {
			continue
		}
		for e := loop.F32; e <= loop.U2; e++ {
			for arity := 1; arity <= 3; arity++ {
				if err := tryElement(o, e, arity); err != nil {
					t.Errorf("%s of %d %v: %v", name, arity, e, err)
				}
			}
		}
	}
}

func tryElement(o *ir.Op, e loop.Elem, arity int) (err error) {
	inferred := false
	defer func() {
		if r := recover(); r != nil && inferred {
			err = fmt.Errorf("%v", r)
		}
	}()
	in, tensors := make([]*ir.Value, arity), make([]*ir.Tensor, arity)
	for i := range in {
		tensors[i] = ir.NewTensor(e, 2)
		ir.FillRandom(tensors[i], uint64(i+3), 2)
		in[i] = ir.ConstValue("", tensors[i])
	}
	n, err := ir.NewNode(o, o.Proto, nil, in...)
	if err != nil {
		return nil
	}
	inferred = true
	_, err = n.Eval(nil, tensors)
	return err
}
