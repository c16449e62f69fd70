// Package sim is a simulated cluster: nodes with power, network and watchdog,
// one cluster file system with its locks and faults, and guests that start,
// stop, move and fail on purpose. On each node run the real CRM and the real
// LRM, in virtual time and in one goroutine, so that every run of a scenario
// gives the same log.
//
// The commands of a scenario and the text of the log are those of the Perl
// stack's simulator, whose recorded logs the project is compared with. A few
// commands are our own: steps at a time, the end, rules, groups, settings, and
// failures on purpose (see [Verb]). A cluster plays a scenario with Run, or is
// driven by hand with Round, EndRound, CutRound and Execute; what was done by
// hand repeats byte for byte as a scenario of steps with their times.
package sim
