package loop

// SharedLoads are a walk kernel's loads from buffers that do not walk: their lanes are the same at all places.
func (k *Kernel) SharedLoads() (vs []Val) {
	for _, v := range k.Stages[0].Insts {
		if in := &k.Insts[v]; in.Code == Load && !k.Bufs[in.Buf].Walk {
			vs = append(vs, v)
		}
	}
	return vs
}

// WindowEnd is the number of a walk kernel's instructions up to the last that uses lanes of a buffer that walks: the chain over the
// places of a window. What follows is done once a result.
func (k *Kernel) WindowEnd() int {
	end := 0
	for i, v := range k.Stages[0].Insts {
		for _, a := range k.Insts[v].Args {
			if a != None && k.Insts[a].Code == Load && k.Bufs[k.Insts[a].Buf].Walk {
				end = i + 1
			}
		}
	}
	return end
}
