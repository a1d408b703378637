package cuda

import (
	"fmt"
	"unsafe"

	"mmc/runtime"
)

func (v *device) move(m *rt.Move) bool {
	total := 1
	for _, d := range m.Dims[:m.Rank] {
		total *= d
	}
	if total >= 1<<31 {
		return false
	}
	if total == 0 {
		return true
	}
	a := v.args[:MoveWords]
	a[MoveTotal], a[MoveRank], a[MoveFrom], a[MoveTo] = uint64(total), uint64(m.Rank), word(m.From), word(m.To)
	for i := range m.Rank {
		a[MoveDims+i], a[MoveSF+i], a[MoveST+i] = uint64(m.Dims[i]), uint64(m.SF[i]), uint64(m.ST[i])
	}
	return v.launch(fmt.Sprint("move", m.Size), [3]int{blocks(total, threads), 1, 1}, 0, MoveWords)
}

func (v *device) embedding(e *rt.Embedding) bool {
	places := 1
	for _, d := range e.Dims[:e.Rank] {
		places *= d
	}
	if !v.kernels[e.Kernel].Embedding || places >= 1<<27 {
		return false
	}
	if places == 0 {
		return true
	}
	a := v.args[:EmbWords]
	clear(a)
	a[EmbPlaces], a[EmbRank], a[EmbWidth] = uint64(places), uint64(e.Rank), uint64(e.Width)
	a[EmbOut], a[EmbFault] = word(e.Out), word(unsafe.Pointer(v.fault))
	for i := range e.Rank {
		a[EmbDims+i] = uint64(e.Dims[i])
	}
	for t := range e.Count {
		w := a[EmbTable+t*EmbTableWords:]
		w[0], w[1], w[2] = word(e.Tables[t]), word(e.Index[t]), uint64(e.Sizes[t])
		if e.Wide[t] {
			w[3] = 1
		}
		for i := range e.Rank {
			w[4+i] = uint64(e.Stride[t][i])
		}
	}
	return v.launch(fmt.Sprint("embedding", e.Kernel), [3]int{blocks(places, threads/16), 1, 1}, 0, EmbWords)
}

func (v *device) gather(g *rt.Gather) bool {
	unit := 8
	for g.Inner%unit != 0 || (word(g.Data)|word(g.Out))%uint64(unit) != 0 {
		unit /= 2
	}
	total := g.Outer * g.Count * (g.Inner / unit)
	if total >= 1<<31 || g.Inner >= 1<<31 || g.Count >= 1<<27 {
		return false
	}
	if total == 0 {
		return true
	}
	a := v.args[:GatherWords]
	a[GatherTotal], a[GatherOuter], a[GatherAxis], a[GatherCount] = uint64(total), uint64(g.Outer), uint64(g.Axis), uint64(g.Count)
	a[GatherInner], a[GatherData], a[GatherIndex], a[GatherOut] = uint64(g.Inner), word(g.Data), word(g.Index), word(g.Out)
	a[GatherWide], a[GatherFault], a[GatherAxes] = 0, word(unsafe.Pointer(v.fault)), uint64(g.Axes)
	if g.Wide {
		a[GatherWide] = 1
	}
	for i := range g.Axes {
		a[GatherDims+i], a[GatherStride+i] = uint64(g.Dims[i]), uint64(g.Stride[i])
	}
	return v.launch(fmt.Sprint("gather", unit), [3]int{blocks(total, threads), 1, 1}, 0, GatherWords)
}

func (v *device) windows(c *rt.Im2Col) bool {
	total := c.Batch * c.Channels
	for i := range 3 {
		total *= c.Windows[i] * c.Kernel[i]
	}
	if total >= 1<<31 {
		return false
	}
	if total == 0 {
		return true
	}
	a := v.args[:WindowWords]
	a[WindowTotal], a[WindowChannels], a[WindowX], a[WindowOut] = uint64(total), uint64(c.Channels), word(c.X), word(c.Out)
	for i := range 3 {
		a[WindowIn+i], a[WindowCount+i], a[WindowKernel+i] = uint64(c.In[i]), uint64(c.Windows[i]), uint64(c.Kernel[i])
		a[WindowStride+i], a[WindowDilation+i], a[WindowPad+i] = uint64(c.Stride[i]), uint64(c.Dil[i]), uint64(c.Pad[i])
	}
	return v.launch("windows", [3]int{blocks(total, threads), 1, 1}, 0, WindowWords)
}

// kind is the kind of elements of a size.
func kind(size int, float bool) uint64 {
	switch {
	case float:
		return KindF32
	case size == 8:
		return KindI64
	}
	return KindI32
}

func (v *device) fill(to rt.Ptr, size, start, step, n int, float bool) bool {
	if n <= 0 {
		return true
	}
	if n >= 1<<31 {
		return false
	}
	a := v.args[:FillWords]
	a[FillTo], a[FillKind], a[FillCount], a[FillStart], a[FillStep] = word(to), kind(size, float), uint64(n), uint64(start), uint64(step)
	return v.launch("fill", [3]int{blocks(n, threads), 1, 1}, 0, FillWords)
}

func (v *device) numbers(to rt.Ptr, size int, list []int) bool {
	for len(list) > 0 {
		n := min(len(list), MaxNumbers)
		a := v.args[:NumbersWords]
		a[NumbersTo], a[NumbersKind], a[NumbersCount] = word(to), kind(size, false), uint64(n)
		for i, x := range list[:n] {
			a[NumbersValues+i] = uint64(x)
		}
		v.launch("numbers", [3]int{1, 1, 1}, 0, NumbersWords)
		to, list = rt.At(to, n*size), list[n:]
	}
	return true
}
