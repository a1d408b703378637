package rt

import (
	"os"
	"strings"
)

// off reports whether GODEBUG switches a feature of the CPU off.
func off(feature string) bool {
	for _, kv := range strings.Split(os.Getenv("GODEBUG"), ",") {
		if kv == feature+"=off" || kv == "cpu.all=off" {
			return true
		}
	}
	return false
}
