package ir

import (
	"strings"
	"sync"

	"mmc/ir/loop"
)

// probe names the element types that an elementwise operator was tried on.
type probe struct {
	op    *Op
	attr  any
	types string
}

// probes holds what trying an operator gave, an error or nil.
var probes sync.Map

// computable reports an elementwise operator whose program has no meaning on the node's element types, such as a square root of integers.
// It is found by running the program on one element.
func (n *Node) computable() error {
	if n.Op.Elem == nil {
		return nil
	}
	var b strings.Builder
	for _, v := range n.In {
		b.WriteString(v.Elem.String() + " ")
	}
	key := probe{n.Op, n.Attr, b.String()}
	if err, ok := probes.Load(key); ok {
		e, _ := err.(error)
		return e
	}
	err := n.tryOne(key.types)
	probes.Store(key, err)
	return err
}

func (n *Node) tryOne(types string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = NotSupported("%s of %s", n.Op.Name, strings.TrimSpace(types))
		}
	}()
	var bufs []loop.Buffer
	for _, v := range append(append([]*Value{}, n.In...), n.Out...) {
		bufs = append(bufs, strided{NewTensor(v.Elem, 1), func(int) int { return 0 }})
	}
	return n.ElemKernel().Run(1, bufs...)
}
