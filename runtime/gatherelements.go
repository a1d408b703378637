package rt

import "unsafe"

// GatherElements picks single elements of Size bytes along an axis of Axis entries by indices of the result's shape [Outer, Count,
// Inner].
type GatherElements struct {
	Outer, Axis, Count, Inner, Size int
	Data, Index, Out                Ptr
	Wide                            bool // indices are int64
}

// GatherElements runs the operator; an index outside its axis is the run's error.
func (s *Session) GatherElements(g GatherElements) {
	s.enter()
	s.elements = g
	s.outside.Store(false)
	total := g.Outer * g.Count * g.Inner
	s.parallel(CeilDiv(total, rowTask), s.task.elements)
	for i := 0; i < total && s.outside.Load(); i++ {
		if k := integerAt(g.Index, i, g.Wide); k < -g.Axis || k >= g.Axis {
			s.fail("index %d is outside the axis of size %d", k, g.Axis)
			return
		}
	}
	s.leave(0)
}

func (s *Session) elementsTask(_, i int) {
	g := &s.elements
	first, last := i*rowTask, min((i+1)*rowTask, g.Outer*g.Count*g.Inner)
	for first < last { // as far as an entry of the outer axes goes
		o := first / (g.Count * g.Inner)
		end := min(last, (o+1)*g.Count*g.Inner)
		inside := false
		switch g.Size {
		case 4:
			inside = pickElements[uint32](g, o, first, end)
		case 8:
			inside = pickElements[uint64](g, o, first, end)
		case 2:
			inside = pickElements[uint16](g, o, first, end)
		default:
			inside = pickElements[byte](g, o, first, end)
		}
		if !inside {
			s.outside.Store(true)
			return
		}
		first = end
	}
}

// pickElements does elements first … end, of entry o of the outer axes; false if an index is outside.
func pickElements[T byte | uint16 | uint32 | uint64](g *GatherElements, o, first, end int) bool {
	data := unsafe.Slice((*T)(At(g.Data, o*g.Axis*g.Inner*g.Size)), g.Axis*g.Inner)
	out := unsafe.Slice((*T)(At(g.Out, first*g.Size)), end-first)
	inner := first % g.Inner
	for i := range out {
		k := integerAt(g.Index, first+i, g.Wide)
		k += b2i(k < 0) * g.Axis
		if k < 0 || k >= g.Axis {
			return false
		}
		out[i] = data[k*g.Inner+inner]
		if inner++; inner == g.Inner {
			inner = 0
		}
	}
	return true
}
