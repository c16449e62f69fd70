// Package packaging makes the Debian package pve-ha-go: build.sh builds it by
// nfpm.yaml, from programs, units, manual pages and maintainer scripts. What the
// scripts do is in package handover.
//
// The tests have the build tag deb, as they need root, containers and what
// build.sh needs: make package-test. They install the package on nodes with real
// systemd, beside a stand-in of the Perl package pve-ha-manager, which is made
// from testdata/perl.
package packaging
