// Package e2e tries the daemons on live clusters: three nodes each, with real
// systemd, a mounted cluster file system, a watchdog that cuts the power, and
// guests that are processes and notice when they run twice.
//
// The tests have the build tag e2e, as they need root, and containers: make
// e2e. Everything in them happens in real time; clusters run side by side.
package e2e
