//go:build race

package watchdogmux

// modelSteps is how many steps the model takes. It has one goroutine, so that
// the race detector finds nothing in it and takes twenty times as long.
const modelSteps = 200_000
