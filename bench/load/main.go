// The benchmark's two ends: a fast fake model, and a load generator that checks every answer.
//
// Both write HTTP/1.1 by hand, so that the proxy between them is the bottleneck.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want a command: upstream or load")
	}
	switch command, rest := args[0], args[1:]; command {
	case "upstream":
		return runUpstream(rest)
	case "load":
		return runLoad(rest)
	default:
		return fmt.Errorf("no command %q; there are upstream and load", command)
	}
}

func runUpstream(args []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8000", "HOST:PORT")
	idle := flags.Duration("idle", 75*time.Second, "close a connection without a request after this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return serve(*listen, *idle)
}

func runLoad(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	var p plan
	base := flags.String("url", "http://127.0.0.1:8000/v1", "what an app sets as OPENAI_BASE_URL")
	model := flags.String("model", "glm", "the model to ask for")
	name := flags.String("case", "json", "json, stream, mixed or idle")
	body := flags.Int("body-bytes", 512, "size of each request's body")
	events := flags.Int("events", 100, "content events of each stream")
	gap := flags.Int("gap-us", 0, "pause of the model between two events, µs")
	flags.IntVar(&p.connections, "connections", 32, "connections kept busy, or open at most")
	flags.Float64Var(&p.rate, "rate", 0, "requests/s at a constant rate; 0: as fast as they are answered")
	flags.DurationVar(&p.warmup, "warmup", time.Second, "time before the measured window")
	flags.DurationVar(&p.duration, "duration", 10*time.Second, "length of the measured window")
	if err := flags.Parse(args); err != nil {
		return err
	}
	target, err := url.Parse(*base)
	if err != nil {
		return err
	}
	p.address = target.Host
	to := writer{target.Path + "/chat/completions", target.Host, *model, *body}
	if p.asks = asksFor(*name, to, *events, *gap); p.asks == nil {
		return fmt.Errorf("no case %q; there are json, stream, mixed and idle", *name)
	}
	var report any
	switch {
	case *name == "idle":
		report, err = holdStreams(p)
	case p.rate > 0:
		report, err = openLoop(p)
	default:
		report, err = closedLoop(p)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
