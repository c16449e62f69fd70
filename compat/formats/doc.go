// Package formats compares the readers and writers of the cluster's files with
// recordings of the Perl stack.
//
// A recording, or vector, is one line of JSON: the kind of file, an input, and
// what the Perl stack made of it: what it parsed, what it warned of, what it
// would write back, or the text with which it died. An input that is not UTF-8
// stands in the field input_base64. Text in a vector holds one
// character for each byte that the Perl stack put out, except where the Perl
// stack itself decodes UTF-8, which it does in comments of rules.
package formats
