// Package hacfg gives the files of the HA stack a type: resources.cfg,
// groups.cfg, rules.cfg, fence.cfg, and what HA needs of datacenter.cfg, with
// their defaults and checks.
//
// A Parse function returns the usable part of a file, and a Problem for
// everything else, whose Warning is the line that the Perl stack logs. A Write
// method prints a file in the Perl stack's canonical form, byte for byte: what
// the administrator wrote by hand loses its comments and its layout. The nodes
// of a group keep their order, where the Perl stack writes them in any.
//
// Write refuses where the Perl stack would write a file that loses something:
// when a section failed its checks, when a list that a section needs is empty,
// when an encoded comment has become too long, when a priority is beyond 64
// bits, and when arguments in fence.cfg would not read the same.
package hacfg
