// Package lrm is the local resource manager: the daemon that runs on every
// node and carries out there what the master of the CRM decided. It holds the
// agent lock of its node and a watchdog while it has services to protect.
//
// The core has no clock, goroutine or file of its own: Env gives it all three,
// and Agent the guests. [LRM.Iterate] is its one entry, used alike by the
// daemon, the simulator and the tests.
//
// Full rounds come every ten seconds, or five where the LRM is not active, as
// those of the Perl stack do. Events bring extra rounds in between, which act
// as any other. What the stack does once a round and not because of something
// is left to the full ones: the lock and the watchdog are refreshed, idle rounds
// counted, services looked after that run or are stopped, and complaints
// repeated. A guest of which we hear when it dies needs no looking after, and
// is started again at once. What failed is left alone for five seconds. A round
// may take long: as long as it comes further, order by order, lock and watchdog
// are refreshed within it.
package lrm
