// Command probe measures the f32 peak of one core with AVX2 and AVX-512: fused multiply-adds on registers alone, the best of
// several rounds, in GFLOP/s. Figures of linear layers are compared with it in the same run.
package main

import (
	"encoding/json"
	"os"
	"time"

	"mmc/runtime"
)

func main() {
	peak := map[string]float64{}
	if rt.HasAVX2 {
		peak["avx2"] = best(fma256, 8)
	}
	if rt.HasAVX512 {
		peak["avx512"] = best(fma512, 16)
	}
	_ = json.NewEncoder(os.Stdout).Encode(peak)
}

// best is the highest rate of fifty rounds of a few milliseconds.
func best(kernel func(n int), lanes int) float64 {
	const n = 2_000_000 / 8
	top := 0.0
	for range 50 {
		start := time.Now()
		for range 8 {
			kernel(n)
		}
		flops := float64(8 * n * 12 * lanes * 2)
		top = max(top, flops/float64(time.Since(start)))
	}
	return top
}
