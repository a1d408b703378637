package golden

import "testing"

// FuzzDecode takes arbitrary bytes through the compiler: the error must be typed.
func FuzzDecode(f *testing.F) {
	data, err := smallModel(plain).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) { mustBeTyped(t, "input", data) })
}
