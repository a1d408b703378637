package rt

import "embed"

// Source is this package's own source, which the compiler copies into emitted modules.
//
//go:embed *.go *.s
var Source embed.FS
