package main

import (
	"sync"
	"time"
)

// errorPause keeps a proxy that is down from being asked as fast as it refuses.
const errorPause = 10 * time.Millisecond

// closedLoop keeps all connections busy: each asks again as soon as it is answered.
func closedLoop(p plan) (report, error) {
	w := &window{}
	until := time.Now().Add(p.warmup + p.duration)
	tallies := make([]*tally, p.connections)
	var all sync.WaitGroup
	for n := range tallies {
		t := &tally{window: w, latency: make([]time.Duration, 0, 1<<14)}
		tallies[n] = t
		all.Go(func() { t.keepBusy(newClient(p.address, until), p.asks, n) })
	}
	length := w.run(p)
	all.Wait()
	return sum(tallies, length), nil
}

func (t *tally) keepBusy(c *client, asks []ask, turn int) {
	defer c.drop()
	seen := t.event
	for ; !t.window.over.Load(); turn++ {
		a := &asks[turn%len(asks)]
		began := time.Now()
		err := c.send(a)
		if err == nil {
			err = c.receive(a, seen)
		}
		if !time.Now().Before(c.until) {
			return // cut off by the end of the run: neither answered nor failed
		}
		if !t.note(err, time.Since(began), t.window.open.Load()) {
			c.drop()
			if err != errLeft {
				time.Sleep(errorPause)
			}
		}
	}
}
