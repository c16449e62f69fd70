package qb_test

const dyingServerVariable = "QB_DYING_SERVER"

func runDyingServer(phase, name string) {}
