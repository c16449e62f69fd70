// Package cfgparse is the language of the cluster's configuration files: a
// lossless tree of section-config text, the checks of a schema over it, and the
// one canonical form in which such a file is written.
//
// A section-config file is a list of sections. A section is a header line
// "TYPE: ID", property lines "<white space>KEY VALUE" below it, and an empty
// line at its end. A line whose first visible character is '#' is a comment
// anywhere. Lines that fit nowhere are ignored, with a Problem each.
//
// The layers, from below: Tree is the text with its structure and gives the
// input back byte for byte; Read checks a tree against a Schema and yields a
// Config, the usable part, with a Problem for everything that is not; Write
// prints a Config in canonical form. The schema is data; this package knows no
// file of the cluster by name.
//
// All text is bytes. White space is what ASCII calls so; a character outside
// of ASCII is never white space and never a letter here, unless a function
// says otherwise.
package cfgparse
