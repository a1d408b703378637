// Package driver strings the compiler together for its command line: load, passes, plan, emit, go build, and running what was
// built. It must not know how any of those work inside.
package driver
