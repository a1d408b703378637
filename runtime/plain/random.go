package plain

// Random fills Out[0], f32, with uniform numbers from Floats[0] up to Floats[1] or, if Ints[0] is not 0, with normal ones of that mean and
// deviation; Ints[1] is the seed. The generator is splitmix64 (Steele, Lea and Flood, 2014).
func Random(a *Args) (int, error) {
	state := uint64(a.Ints[1])
	unit := func() float64 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return float64(float64((z^z>>31)>>40) / (1 << 24))
	}
	out := data[float32](&a.Out[0])
	for i := range out {
		if a.Ints[0] == 0 {
			out[i] = float32(a.Floats[0] + float64(unit()*(a.Floats[1]-a.Floats[0])))
			continue
		}
		sum := -6.0
		for range 12 {
			sum += unit()
		}
		out[i] = float32(a.Floats[0] + float64(sum*a.Floats[1]))
	}
	return 0, nil
}
