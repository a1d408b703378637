package rt

import "fmt"

// Device does drivers' jobs in place of the CPU, on memory that both can reach. A job that it declines is
// done by the CPU when what the device has in flight has ended.
type Device struct {
	Name  string
	Alloc func(bytes int) (Ptr, error) // zeroed
	Free  func(Ptr)
	Begin func() error // claims the device for a run of this goroutine
	End   func() error // waits and gives it back
	Wait  func() error
	Close func()

	// Replay does a whole run again that it has seen under this key; false means that the program is to be gone through.
	Replay func(key string) bool

	Linear     func(*Linear) bool
	Bytes      func(*Bytes) bool
	MatMul     func(*MatMul) bool
	ByteMatMul func(*ByteMatMul) bool
	Attention  func(*Attention) bool
	Rows       func(*Rows) bool
	Move       func(*Move) bool
	Embedding  func(*Embedding) bool
	Gather     func(*Gather) bool
	Im2Col     func(*Im2Col) bool
	Fill       func(to Ptr, size, start, step, n int, float bool) bool
	Numbers    func(to Ptr, size int, v []int) bool
}

// deviceMemory is what a session holds on a device.
type deviceMemory struct {
	arena  Ptr
	bytes  int
	inputs []Ptr
	sizes  []int

	work      Ptr // for drivers that need memory of their own
	workBytes int
}

// room is memory of the device for a driver, kept between runs.
func (s *Session) room(bytes int) (Ptr, error) {
	m := &s.mem
	if m.workBytes >= bytes {
		return m.work, nil
	}
	if err := s.dev.Wait(); err != nil { // what is in flight may read it
		return nil, err
	}
	s.dev.Free(m.work)
	m.work, m.workBytes = nil, 0
	p, err := s.dev.Alloc(bytes)
	if err != nil {
		return nil, err
	}
	m.work, m.workBytes = p, bytes
	return p, nil
}

// deviceKey names the runs that do the same with the same memory: sizes, and where arena and inputs lie.
func (s *Session) deviceKey(dims []int) string {
	return fmt.Sprint(dims, s.mem.arena, s.mem.work, s.In)
}

// host waits for the device before the CPU touches memory.
func (s *Session) host() {
	if s.dev == nil {
		return
	}
	if err := s.dev.Wait(); err != nil && s.err == nil {
		s.err = err
	}
}

// beginDevice claims the device and makes room for an arena of total bytes.
func (s *Session) beginDevice(total int) error {
	if err := s.dev.Begin(); err != nil {
		return err
	}
	if total > s.mem.bytes {
		s.dev.Free(s.mem.arena)
		s.mem.arena, s.mem.bytes = nil, 0
		p, err := s.dev.Alloc(max(total, 1))
		if err != nil {
			s.dev.End()
			return err
		}
		s.mem.arena, s.mem.bytes = p, total
	}
	return nil
}

// input copies a caller's slice to where the device can read it.
func (s *Session) input(i int, p Ptr, bytes int) (Ptr, error) {
	if s.dev == nil || bytes == 0 {
		return p, nil
	}
	m := &s.mem
	for len(m.inputs) <= i {
		m.inputs, m.sizes = append(m.inputs, nil), append(m.sizes, 0)
	}
	if m.sizes[i] < bytes {
		s.dev.Free(m.inputs[i])
		m.inputs[i], m.sizes[i] = nil, 0
		q, err := s.dev.Alloc(bytes)
		if err != nil {
			return nil, err
		}
		m.inputs[i], m.sizes[i] = q, bytes
	}
	copyBytes(m.inputs[i], p, bytes)
	return m.inputs[i], nil
}

func (s *Session) freeDevice() {
	if s.dev == nil {
		return
	}
	s.dev.Free(s.mem.arena)
	s.dev.Free(s.mem.work)
	for _, p := range s.mem.inputs {
		s.dev.Free(p)
	}
	s.mem = deviceMemory{}
}
