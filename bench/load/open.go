package main

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	prSetTimerSlack = 29
	drainLimit      = 10 * time.Second
)

// slot is one connection of an open loop, and what it is busy with.
type slot struct {
	*tally
	client *client
	sent   chan sent
}

// sent is a request that has gone out. Its latency runs from when it was due, not from when a
// connection was free for it: a proxy that stalls is charged for everyone it keeps waiting.
type sent struct {
	ask    *ask
	due    time.Time
	counts bool
	err    error
}

// openLoop asks at a constant rate, whatever the answers do.
func openLoop(p plan) (report, error) {
	w := &window{}
	until := time.Now().Add(p.warmup + p.duration + drainLimit)
	free := make(chan *slot, p.connections)
	slots := make([]*slot, p.connections)
	tallies := make([]*tally, p.connections)
	var all sync.WaitGroup
	for n := range slots {
		tallies[n] = &tally{window: w, latency: make([]time.Duration, 0, 1<<12)}
		slots[n] = &slot{tally: tallies[n], client: newClient(p.address, until), sent: make(chan sent, 1)}
		free <- slots[n]
		all.Go(func() { slots[n].listen(free) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		paceOut(p, w, free)
	}()
	length := w.run(p)
	<-done
	for _, s := range slots {
		close(s.sent)
	}
	all.Wait()
	return sum(tallies, length), nil
}

// paceOut sends each request when it is due, from a thread of its own: Go's timers may be a
// millisecond late on an idle machine, which is as long as what is measured here.
func paceOut(p plan, w *window, free chan *slot) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	began := time.Now()
	for turn := 0; !w.over.Load(); turn++ {
		due := began.Add(time.Duration(float64(turn) / p.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			spec := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&spec, nil) // a signal may cut it short: then we are early by little
		}
		a := &p.asks[turn%len(p.asks)]
		s := <-free
		counts := w.open.Load()
		s.sent <- sent{a, due, counts, s.client.send(a)}
	}
}

func (s *slot) listen(free chan<- *slot) {
	defer s.client.drop()
	seen := s.event
	for sent := range s.sent {
		err := sent.err
		if err == nil {
			err = s.client.receive(sent.ask, seen)
		}
		if !s.note(err, time.Since(sent.due), sent.counts) {
			s.client.drop()
		}
		free <- s
	}
}
