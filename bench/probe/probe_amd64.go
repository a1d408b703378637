package main

func fma512(n int)
func fma256(n int)
