package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialing   = 64               // so many streams are being opened at once
	openLimit = 40 * time.Second // what has not opened by then has failed
)

type held struct {
	Open       int    `json:"open"`
	Errors     int    `json:"errors"`
	FirstError string `json:"first_error,omitempty"`
}

// holdStreams opens all streams, waits for each one's first event, tells, and holds them until
// standard input ends. The model is silent meanwhile.
func holdStreams(p plan) (held, error) {
	var open, failed atomic.Int64
	var first atomic.Value
	var all, told sync.WaitGroup
	turns := make(chan struct{}, dialing)
	until := time.Now().Add(openLimit)
	leave := make(chan struct{})
	for range p.connections {
		told.Add(1)
		all.Go(func() {
			turns <- struct{}{}
			c := newClient(p.address, until)
			defer c.drop()
			a := &p.asks[0] // it ends with errLeft after one event, the connection stays
			err := c.send(a)
			if err == nil {
				err = c.receive(a, func() { open.Add(1) })
			}
			if err != errLeft {
				failed.Add(1)
				first.CompareAndSwap(nil, fmt.Sprint(err))
			}
			<-turns
			told.Done()
			<-leave
		})
	}
	told.Wait()
	report := held{Open: int(open.Load()), Errors: int(failed.Load())}
	report.FirstError, _ = first.Load().(string)
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return report, err
	}
	_, err := io.Copy(io.Discard, os.Stdin) // the harness closes it when it has looked
	close(leave)
	all.Wait()
	return report, err
}
