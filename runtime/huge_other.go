//go:build !linux

package rt

func adviseHuge([]byte) {}
