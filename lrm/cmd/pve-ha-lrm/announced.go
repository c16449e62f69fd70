package main

import (
	"pveha/internal/ha"
	"pveha/internal/pveenv"
	"pveha/lrm"
)

// announced are workers of which those that act on a guest are announced, so
// that what makes many actions cheap can be started.
type announced struct {
	pveenv.Workers
	guests   pveenv.Guests
	announce func()
}

// Start starts an order.
func (a announced) Start(o lrm.Order, services map[ha.SID]ha.ServiceConfig) error {
	if err := a.Workers.Start(o, services); err != nil {
		return err
	}
	if a.acts(o) {
		a.announce()
	}
	return nil
}

// acts reports whether an order will act on its guest. Most find that it is as
// it should be: of every guest the first order to a new daemon does.
func (a announced) acts(o lrm.Order) bool {
	switch o.State {
	case ha.Started:
		alive, known := a.guests.Alive(o.SID)
		return known && !alive
	case ha.Stopped, ha.RequestStop:
		alive, known := a.guests.Alive(o.SID)
		return known && alive
	case ha.Migrate, ha.Relocate, ha.RequestStartBalance:
		return true
	case ha.Error, ha.RequestStart, ha.Fence, ha.Recovery, ha.Freeze:
	}
	return false
}
