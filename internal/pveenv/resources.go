package pveenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"pveha/cfgparse"
	"pveha/cfgparse/hacfg"
	"pveha/crm"
	"pveha/internal/ha"
	"pveha/pmxcfsio"
)

// warn logs what of a file cannot be used, as the Perl stack does.
func (n *node) warn(problems []hacfg.Problem) {
	for i := range problems {
		n.log(ha.LevelWarning, "%s", problems[i].Warning())
	}
}

// cachedResources is resources.cfg joined with the guest list.
type cachedResources struct {
	file cached[*hacfg.Resources]

	mu       sync.Mutex
	joined   *hacfg.Resources // what services were made of
	guests   map[uint32]pmxcfsio.Guest
	services map[ha.SID]ha.ServiceConfig
}

// Services returns every configured service whose guest exists, and the digest
// of the file. The map is shared.
func (n *node) Services() (map[ha.SID]ha.ServiceConfig, string, error) {
	raw, err := n.read(pmxcfsio.ResourcesFile)
	if err != nil {
		return nil, "", err
	}
	guests, err := n.fs.Guests(n.ctx)
	if err != nil {
		return nil, "", err
	}
	file, err := n.resources.file.parsed(raw, func(raw []byte) (*hacfg.Resources, error) {
		file, problems := hacfg.ParseResources(pmxcfsio.ResourcesFile, raw)
		n.warn(problems)
		return file, nil
	})
	if err != nil {
		return nil, "", err
	}
	return n.resources.join(file, guests.ByID), file.Digest, nil
}

// join returns the services with the places of their guests.
func (c *cachedResources) join(file *hacfg.Resources, guests map[uint32]pmxcfsio.Guest) map[ha.SID]ha.ServiceConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined == file && samePlaces(c.guests, guests) {
		return c.services
	}
	services := make(map[ha.SID]ha.ServiceConfig, len(file.ByID))
	for sid, resource := range file.ByID {
		id, ok := guestID(sid)
		guest, exists := guests[id]
		if !ok || !exists {
			continue
		}
		service := resource.Service()
		service.Node = guest.Node
		services[sid] = service
	}
	c.joined, c.guests, c.services = file, guests, services
	return services
}

// samePlaces reports whether the same guests are in the same places, whatever
// was changed in their configurations.
func samePlaces(a, b map[uint32]pmxcfsio.Guest) bool {
	return maps.EqualFunc(a, b, func(a, b pmxcfsio.Guest) bool {
		return a.Node == b.Node && a.Type == b.Type
	})
}

// last returns the services as they were last known, nil before that.
func (c *cachedResources) last() map[ha.SID]ha.ServiceConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.services
}

// guestID returns the number of a guest. A service is one by its number alone,
// whatever type it is configured with, as in the Perl stack.
func guestID(sid ha.SID) (uint32, bool) {
	id, err := strconv.ParseUint(sid.Name(), 10, 32)
	return uint32(id), err == nil
}

// UpdateServices changes services in resources.cfg, all or none.
func (c *CRM) UpdateServices(changes map[ha.SID]crm.ServiceChange) error {
	if len(changes) == 0 {
		return nil
	}
	err := c.domain(func(ctx context.Context) error {
		raw, err := c.fs.Read(ctx, pmxcfsio.ResourcesFile)
		if err != nil && !errors.Is(err, pmxcfsio.ErrAbsent) {
			return err
		}
		resources, _ := hacfg.ParseResources(pmxcfsio.ResourcesFile, raw)
		for _, sid := range slices.Sorted(maps.Keys(changes)) {
			if resources.ByID[sid] == nil {
				return fmt.Errorf("no such resource '%s'", sid)
			}
			if err := resources.Change(sid, fileChange(changes[sid])); err != nil {
				return fmt.Errorf("resource '%s': %w", sid, err)
			}
		}
		text, err := resources.Write()
		if err != nil {
			return err
		}
		return c.fs.Write(ctx, pmxcfsio.ResourcesFile, text)
	})
	if err != nil {
		return fmt.Errorf("update resources config failed: %w", err)
	}
	return nil
}

// fileChange is a change as it stands in the file.
func fileChange(change crm.ServiceChange) hacfg.Change {
	c := cfgparse.Change{Set: map[string]string{}}
	if change.State != "" {
		c.Set["state"] = string(change.State)
	}
	if change.Failback != nil {
		c.Set["failback"] = "0"
		if *change.Failback {
			c.Set["failback"] = "1"
		}
	}
	if change.DeleteGroup {
		c.Delete = []string{"group"}
	}
	return c
}
