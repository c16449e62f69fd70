// Package vmtest tries watchdog-mux on a real kernel with real watchdogs: in a
// virtual machine under software emulation, where a reset hurts nobody.
//
// The tests have the build tag vm, as they need qemu and a kernel: make vm.
// The test program is its own guest: it boots a machine with itself as the
// first process, which starts watchdog-mux, plays the clients of one case, and
// waits to be reset or not. Time in which the guest is idle is skipped, so a
// minute of silence takes no time.
//
// PVEHA_VM_MUX names another program to be tried in place of this
// repository's, as long as it speaks the same protocol. What the table says of
// the C daemon was found out in this way.
package vmtest
