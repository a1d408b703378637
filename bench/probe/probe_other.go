//go:build !amd64

package main

func fma512(int) {}
func fma256(int) {}
