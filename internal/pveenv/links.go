package pveenv

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is a network device of the node.
type link struct {
	Index  int
	Name   string
	Kind   string // of a device that is made of software: "bridge", "bond", "vlan", ...
	Up     bool   // switched on and with a carrier
	master int    // index of the bridge or bond that it is a part of
	lower  int    // index of the device below, of a VLAN
	ether  bool
}

// physical reports whether the device is a network card, as far as the kernel
// tells.
func (l link) physical() bool { return l.ether && l.Kind == "" }

// carries reports whether what is on top of l depends on it: a guest's device
// on a bridge is no part of the way to the other nodes.
func (l link) carries() bool {
	return l.physical() || l.Kind == "bond" || l.Kind == "team" || l.Kind == "vlan"
}

// linkTable is what the kernel has told of its network devices.
type linkTable struct {
	links map[int]link
	addrs map[netip.Addr]int // index of the device that has the address
}

func newLinkTable() *linkTable {
	return &linkTable{links: map[int]link{}, addrs: map[netip.Addr]int{}}
}

// apply takes in one message of the kernel; of others than those on devices
// and addresses it makes nothing.
func (t *linkTable) apply(m netlink.Message) error {
	switch uint16(m.Header.Type) {
	case unix.RTM_NEWLINK:
		l, err := parseLink(m.Data)
		if err != nil {
			return err
		}
		t.links[l.Index] = l
	case unix.RTM_DELLINK:
		l, err := parseLink(m.Data)
		if err != nil {
			return err
		}
		delete(t.links, l.Index)
	case unix.RTM_NEWADDR:
		addr, index, err := parseAddr(m.Data)
		if err != nil || !addr.IsValid() {
			return err
		}
		t.addrs[addr] = index
	case unix.RTM_DELADDR:
		addr, index, err := parseAddr(m.Data)
		if err != nil {
			return err
		}
		if t.addrs[addr] == index {
			delete(t.addrs, addr)
		}
	}
	return nil
}

func (t *linkTable) byName(name string) (link, bool) {
	for _, l := range t.links {
		if l.Name == name {
			return l, true
		}
	}
	return link{}, false
}

// cluster returns the devices on which the cluster's traffic depends: those
// with one of the addresses, and what carries them; where no device has one,
// every network card, and exact is false. They are sorted by name.
func (t *linkTable) cluster(addresses []netip.Addr) (links []link, exact bool) {
	watched := map[int]bool{}
	for _, a := range addresses {
		if index, ok := t.addrs[a]; ok {
			t.addWithLower(watched, index)
		}
	}
	exact = len(watched) > 0
	if !exact {
		for index, l := range t.links {
			if l.physical() {
				watched[index] = true
			}
		}
	}
	for index := range watched {
		links = append(links, t.links[index])
	}
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
	})
	return links, exact
}

func (t *linkTable) addWithLower(watched map[int]bool, index int) {
	l, ok := t.links[index]
	if !ok || watched[index] {
		return
	}
	watched[index] = true
	if l.Kind == "vlan" {
		t.addWithLower(watched, l.lower)
	}
	for _, i := range slices.Sorted(maps.Keys(t.links)) {
		if part := t.links[i]; part.master == index && part.carries() {
			t.addWithLower(watched, i)
		}
	}
}

// Sizes of the fixed parts of messages, in bytes (struct ifinfomsg, struct
// ifaddrmsg).
const (
	linkHeader = 16
	addrHeader = 8
)

func parseLink(data []byte) (link, error) {
	if len(data) < linkHeader {
		return link{}, fmt.Errorf("message on a network device: %d bytes are too few", len(data))
	}
	order := netlinkOrder
	l := link{
		Index: int(order.Uint32(data[4:])),
		ether: order.Uint16(data[2:]) == unix.ARPHRD_ETHER,
	}
	// RUNNING follows the carrier, but says yes for devices that know none.
	flags := order.Uint32(data[8:])
	l.Up = flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
	ad, err := netlink.NewAttributeDecoder(data[linkHeader:])
	if err != nil {
		return link{}, fmt.Errorf("message on a network device: %w", err)
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.IFLA_IFNAME:
			l.Name = ad.String()
		case unix.IFLA_MASTER:
			l.master = int(ad.Uint32())
		case unix.IFLA_LINK:
			l.lower = int(ad.Uint32())
		case unix.IFLA_LINKINFO:
			ad.Nested(func(info *netlink.AttributeDecoder) error {
				for info.Next() {
					if info.Type() == unix.IFLA_INFO_KIND {
						l.Kind = info.String()
					}
				}
				return nil
			})
		}
	}
	if err := ad.Err(); err != nil {
		return link{}, fmt.Errorf("message on a network device: %w", err)
	}
	return l, nil
}

func parseAddr(data []byte) (addr netip.Addr, index int, err error) {
	if len(data) < addrHeader {
		return addr, 0, fmt.Errorf("message on an address: %d bytes are too few", len(data))
	}
	index = int(netlinkOrder.Uint32(data[4:]))
	ad, err := netlink.NewAttributeDecoder(data[addrHeader:])
	if err != nil {
		return addr, 0, fmt.Errorf("message on an address: %w", err)
	}
	for ad.Next() {
		// Of a point-to-point link, ADDRESS is the other end's; LOCAL is always
		// ours, but IPv6 has it there only.
		t := ad.Type()
		if t != unix.IFA_LOCAL && (t != unix.IFA_ADDRESS || addr.IsValid()) {
			continue
		}
		if a, ok := netip.AddrFromSlice(ad.Bytes()); ok {
			addr = a.Unmap()
		}
	}
	return addr, index, ad.Err()
}
