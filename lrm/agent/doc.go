// Package agent handles the guests of a node, virtual machines and containers:
// whether one runs, where its configuration is, what locks it; and it starts,
// stops and moves them.
//
// What can be read is read natively, under injected roots. What changes a guest
// goes through the API methods that a person's click goes through as well, and
// those are Perl: a small program, action/guest-action, calls them, and the
// first lines of it tell how the two talk.
package agent
