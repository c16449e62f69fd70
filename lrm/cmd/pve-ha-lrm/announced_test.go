package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"pveha/internal/ha"
	"pveha/internal/pveenv"
	"pveha/lrm"
)

// workers start nothing.
type workers struct {
	pveenv.Workers
	err error
}

func (w workers) Start(lrm.Order, map[ha.SID]ha.ServiceConfig) error { return w.err }

type guests struct {
	pveenv.Guests
	alive, known bool
}

func (g guests) Alive(ha.SID) (alive, known bool) { return g.alive, g.known }

func TestOrdersThatActAreAnnounced(t *testing.T) {
	alive, dead, unknown := guests{alive: true, known: true}, guests{known: true}, guests{}
	failed := errors.New("no such program")
	for name, c := range map[string]struct {
		state  ha.ServiceState
		guests guests
		err    error
		want   bool
	}{
		"start":                           {state: ha.Started, guests: dead, want: true},
		"start of one that runs":          {state: ha.Started, guests: alive},
		"start of one locked for backup":  {state: ha.Started, guests: unknown},
		"stop":                            {state: ha.RequestStop, guests: alive, want: true},
		"stop of one that does not run":   {state: ha.RequestStop, guests: dead},
		"one that is to stay stopped":     {state: ha.Stopped, guests: dead},
		"one that is to be stopped again": {state: ha.Stopped, guests: alive, want: true},
		"migration":                       {state: ha.Migrate, guests: alive, want: true},
		"relocation":                      {state: ha.Relocate, guests: dead, want: true},
		"start elsewhere":                 {state: ha.RequestStartBalance, guests: dead, want: true},
		"complaint about an error":        {state: ha.Error, guests: dead},
		"start without a worker":          {state: ha.Started, guests: dead, err: failed},
	} {
		t.Run(name, func(t *testing.T) {
			told := false
			a := announced{workers{err: c.err}, c.guests, func() { told = true }}
			require.Equal(t, c.err, a.Start(lrm.Order{SID: "vm:100", State: c.state}, nil))
			require.Equal(t, c.want, told)
		})
	}
}
