package ha

// Epoch is a time in whole seconds since 1970-01-01 UTC, or since the start of
// a simulation. The stack compares whole seconds on every node, so a finer
// clock would move every boundary.
type Epoch int64
