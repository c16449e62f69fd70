// Package playground is a simulated cluster to play with in the browser: a
// session over [sim.Cluster] that passes in real time or faster, takes
// commands, tells every page that watches what changed, and is kept in a
// folder so that closing it loses nothing; and the web server with the page.
//
// A session is a start, which is the files of a scenario, and what was done
// since, with its times. Both together are a scenario again: the recording,
// which pve-ha-tester replays byte for byte. Opening a session replays it, too.
package playground
