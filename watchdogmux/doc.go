// Package watchdogmux shares one watchdog device among many clients: the
// machine is reset if one of them is silent for 60 seconds, or leaves without
// a goodbye, and is not reset otherwise.
//
// Core decides, and knows no clock, descriptor or goroutine. Server tells it
// what happens on the socket, and does what it orders. Daemon is the way from
// the start to the end of the process.
//
// Nothing but the core's tick feeds the device: when the core does not judge
// the clients any more, for whatever reason, the device is not fed.
//
// # The socket
//
// A stream socket at /run/watchdog-mux.sock, which only root may connect to.
// Connecting makes a client active, every byte starts its 60 seconds anew, and
// a 'V' as the last byte before the end of the connection is the goodbye. The
// folder /run/watchdog-mux.active exists while a client is active, and stays
// after a client broke its word; the daemon does not start while it exists.
//
// # The unit
//
// What is relied on of watchdog-mux.service: Type=simple (the daemon stays in
// the foreground), or Type=notify, for which it sends READY=1 once clients can
// connect; EnvironmentFile=-/etc/default/pve-ha-manager, which sets
// WATCHDOG_MODULE; Restart=no, since a restart could feed a device that must
// reset the machine; standard error is connected to the journal. With a socket
// unit (ListenStream=/run/watchdog-mux.sock, SocketMode=0600, Accept=no) the
// socket is taken over from systemd (LISTEN_FDS=1) and its path left to it.
// The daemon itself sees to real-time priority and locked memory, so that the
// unit of the C daemon, which has OOMScoreAdjust=-1000 alone, is enough.
package watchdogmux
