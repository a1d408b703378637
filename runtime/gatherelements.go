package rt

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
	for i := range g.Outer * g.Count * g.Inner {
		k := integerAt(g.Index, i, g.Wide)
		if k < -g.Axis || k >= g.Axis {
			s.fail("index %d is outside the axis of size %d", k, g.Axis)
			return
		}
		k += b2i(k < 0) * g.Axis
		o := i / (g.Count * g.Inner)
		copyBytes(At(g.Out, i*g.Size), At(g.Data, ((o*g.Axis+k)*g.Inner+i%g.Inner)*g.Size), g.Size)
	}
	s.leave(0)
}
