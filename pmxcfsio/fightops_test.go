//go:build !race

package pmxcfsio_test

// defaultFightOps is how often the big fights use the lock together.
const defaultFightOps = 1_000_000
