//go:build deb

package packaging

import (
	"path/filepath"
	"strings"

	"pveha/internal/golden"
)

// snapshotScript prints everything about the HA stack of a node that a person
// could see: files with their modes and targets, diversions, units, processes.
const snapshotScript = `
export LC_ALL=C
echo "== files"
find /usr/sbin /usr/libexec/pveha /usr/share/pve-ha-go /usr/share/bash-completion/completions /usr/share/zsh/vendor-completions \
    /usr/share/man/man1 /usr/share/man/man8 /usr/share/doc/pve-ha-go /etc/default /etc/systemd/system /usr/lib/systemd/system \
    /var/lib/pve-ha /var/lib/pve-ha-go /run -xdev \( -path /run/systemd -o -path /run/udev \) -prune -o \
    \( -path '*pve-ha*' -o -path '*pveha*' -o -name '*ha-manager*' -o -name '*watchdog-mux*' \) \
    ! -path '*.wants/*' ! -path '/run/pve-ha-lrm/*/*' -printf '%M %u:%g %p %l\n' 2>/dev/null | sed 's/ $//' | sort -k3
echo "== versions in place"
for file in /usr/sbin/ha-manager /usr/sbin/pve-ha-crm /usr/sbin/pve-ha-lrm /usr/sbin/watchdog-mux \
    /usr/share/bash-completion/completions/ha-manager /usr/share/man/man8/pve-ha-lrm.8.gz; do
    for name in $file $file.pve-perl /usr/share/pve-ha-go/perl/$(basename $file); do
        [ -e $name ] && echo "$name: $(grep -ao 'version 5[.0-9]*[0-9]' $name || echo 'not of the Perl package')"
    done
done
echo "== diversions"
dpkg-divert --list '*' | grep -e ha- -e watchdog | sort
echo "== packages"
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' 'pve-ha*' 2>/dev/null
echo "== units"
for unit in watchdog-mux pve-ha-crm pve-ha-lrm; do
    systemctl show -p Id -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload -p Type -p Restart -p KillMode \
        -p TimeoutStopUSec -p DropInPaths -p PIDFile -p Result $unit.service
    pid=$(systemctl show -p MainPID --value $unit.service)
    [ $pid = 0 ] || echo "Program=$(readlink /proc/$pid/exe)"
    if [ -e /run/$unit.pid ]; then
        [ $pid = "$(cat /run/$unit.pid)" ] && echo "PIDFile names the main process" || echo "PIDFILE IS WRONG"
        flock -n /run/$unit.pid.lock true && echo "THE LOCK IS FREE" || echo "its lock is held"
    fi
done
echo "== watchdog clients"
journalctl -b -u watchdog-mux -o cat --no-pager | sed -n 's/ (PID [0-9]*)//p' | sort | uniq -c | sed 's/^ *[0-9]* //' | grep -i -e expire -e 'did not stop' || echo "none was lost"
exit 0
`

// snapshot compares what is seen of the stack on a node with a golden file.
func (c *cluster) snapshot(node, name string) {
	c.t.Helper()
	text := c.shell(node, snapshotScript)
	golden.Golden(c.t, filepath.Join("testdata", "node", name+".golden"), []byte(text))
}

// everything lists what is on the disk of a node, but for logs, caches, what
// packages and services note about themselves, and what happened since boot.
func (c *cluster) everything(node string) []string {
	c.t.Helper()
	out := c.shell(node, `find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/cache \
		-o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path /srv -o -path /dev -o -path /root \) -prune -o -printf '%M %u:%g %p %l\n' | sort -k3`)
	return strings.Split(out, "\n")
}
