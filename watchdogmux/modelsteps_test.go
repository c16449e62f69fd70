//go:build !race

package watchdogmux

// modelSteps is how many steps the model takes.
const modelSteps = 4_000_000
