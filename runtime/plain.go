package rt

// Enter waits for the device before a function of package plain runs on the CPU.
func (s *Session) Enter() { s.enter() }

// Leave takes such a function's result: how many entries it wrote, and the fault of the inputs if there was one.
func (s *Session) Leave(count int, err error) int {
	if err != nil {
		s.fail("%v", err)
	}
	s.leave(0)
	return count
}

// Holds reads a condition of the program; none holds once a driver has failed.
func (s *Session) Holds(p Ptr) bool {
	s.Enter()
	holds := *(*bool)(p)
	s.Leave(0, nil)
	return holds && s.err == nil
}
