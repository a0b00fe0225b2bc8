package main

import (
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// plan is what a run does.
type plan struct {
	address     string
	asks        []ask
	connections int
	rate        float64
	warmup      time.Duration
	duration    time.Duration
}

// window is the measured part of a run.
type window struct{ open, over atomic.Bool }

// run opens the window after the warm-up and closes it at the end; returns its true length.
func (w *window) run(p plan) time.Duration {
	time.Sleep(p.warmup)
	began := time.Now()
	w.open.Store(true)
	time.Sleep(p.duration)
	w.open.Store(false)
	length := time.Since(began)
	w.over.Store(true)
	return length
}

// tally is what one connection counts. Not shared, so that counting costs no lock.
type tally struct {
	window  *window
	events  int
	left    int
	errors  int
	first   string // the first error
	latency []time.Duration
}

func (t *tally) event() {
	if t.window.open.Load() {
		t.events++
	}
}

// note counts the outcome of a request; true: the connection can serve again.
// Errors are counted in the warm-up too.
func (t *tally) note(err error, latency time.Duration, counts bool) bool {
	switch {
	case errors.Is(err, errLeft):
		if counts {
			t.left++
		}
		return false
	case err != nil:
		t.errors++
		if t.first == "" {
			t.first = err.Error()
		}
		return false
	case counts:
		t.latency = append(t.latency, latency)
	}
	return true
}

// report is the line that the harness reads. Latencies are null where nothing was answered.
type report struct {
	Requests   int      `json:"requests"`
	Left       int      `json:"left"`
	Errors     int      `json:"errors"`
	FirstError string   `json:"first_error,omitempty"`
	Seconds    float64  `json:"seconds"`
	RPS        float64  `json:"rps"`
	P50        *float64 `json:"p50_ms"`
	P99        *float64 `json:"p99_ms"`
	Max        *float64 `json:"max_ms"`
	Events     int      `json:"events"`
	EventRate  float64  `json:"events_per_s"`
}

func sum(tallies []*tally, length time.Duration) report {
	r := report{Seconds: length.Seconds()}
	var all []time.Duration
	for _, t := range tallies {
		all = append(all, t.latency...)
		r.Events += t.events
		r.Left += t.left
		r.Errors += t.errors
		if r.FirstError == "" {
			r.FirstError = t.first
		}
	}
	slices.Sort(all)
	r.Requests = len(all) + r.Left
	r.RPS = float64(r.Requests) / r.Seconds
	r.EventRate = float64(r.Events) / r.Seconds
	r.P50, r.P99, r.Max = quantile(all, 0.5), quantile(all, 0.99), quantile(all, 1)
	return r
}

// quantile by nearest rank, in ms.
func quantile(sorted []time.Duration, q float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	rank := max(0, int(math.Ceil(q*float64(len(sorted))))-1)
	ms := float64(sorted[rank]) / 1e6
	return &ms
}
