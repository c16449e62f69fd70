//go:build race

package pmxcfsio_test

// defaultFightOps is smaller under the race detector, which makes everything
// slow and finds nothing in simulations that take turns.
const defaultFightOps = 50_000
