package amd64
