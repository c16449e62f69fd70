// Package fuzz holds the fuzz targets of the parsers and of the status files.
// Targets that need what a package hides are in that package.
//
// They are ordinary fuzz tests: go test runs their seeds, and
//
//	go test ./fuzz -run '^$' -fuzz '^FuzzRules$' -fuzztime 10s
//
// searches further with one of them. The script run.sh, by make fuzz, finds all
// of the module and does so with each. The seeds here are the recorded inputs of
// package formats and the files in testdata/fuzz.
package fuzz
