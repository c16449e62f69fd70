// Package sim is a simulated cluster: nodes with power, network and watchdog,
// one cluster file system with its locks and faults, and guests that start,
// stop, move and fail on purpose. On each node run the real CRM and the real
// LRM, in virtual time and in one goroutine, so that every run of a scenario
// gives the same log.
//
// The commands of a scenario and the text of the log are those of the Perl
// stack's simulator, whose recorded logs the project is compared with.
package sim
