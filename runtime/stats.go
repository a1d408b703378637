package rt

import "time"

// Stats are the times of a program's steps, taken while a session is profiled.
type Stats struct {
	Steps []StepTime
	start time.Time
}

// StepTime is what one step took in all runs.
type StepTime struct {
	Calls int
	Time  time.Duration
	Flops int
}

// Profile makes the session keep times; nil ends that.
func (s *Session) Profile(st *Stats) { s.stats = st }

// Step names the step that follows.
func (s *Session) Step(i int) {
	s.step = i
}

// enter begins a job on the CPU.
func (s *Session) enter() {
	s.host()
	if s.stats != nil {
		s.stats.start = time.Now()
	}
}

func (s *Session) leave(flops int) {
	st := s.stats
	if st == nil {
		return
	}
	for len(st.Steps) <= s.step {
		st.Steps = append(st.Steps, StepTime{})
	}
	t := &st.Steps[s.step]
	t.Calls++
	t.Time += time.Since(st.start)
	t.Flops += flops
}
