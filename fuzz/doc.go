// Package fuzz holds the fuzz targets of the project, one for each parser and
// one for each status file.
//
// The targets are ordinary fuzz tests: go test runs their seeds, and
//
//	go test ./fuzz -run '^$' -fuzz '^FuzzRules$' -fuzztime 10s
//
// searches further with one of them. go test -list '^Fuzz' ./fuzz lists the
// names. The seeds are the recorded inputs of package formats and the files in
// testdata/fuzz.
package fuzz
