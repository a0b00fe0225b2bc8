package main

import (
	"fmt"
	"strings"
)

const (
	holdS       = 120 // longer than any look at held streams takes
	mixedEvents = 20
	leaveAfter  = 5
	filler      = "The supplier shall deliver the goods within thirty days of the order, failing which the buyer may withdraw. "
	// what the official Python client sends, but for accept-encoding: answers stay plain
	requestHead = "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n" +
		"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 3.54.0\r\nX-Stainless-Lang: python\r\n" +
		"X-Stainless-Package-Version: 3.54.0\r\nX-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\n" +
		"X-Stainless-Runtime: CPython\r\nX-Stainless-Runtime-Version: 3.12.4\r\nX-Stainless-Retry-Count: 0\r\n" +
		"Authorization: Bearer sk-bench\r\nContent-Length: %d\r\n\r\n%s"
)

// ask is one request and what its answer must be.
type ask struct {
	request []byte
	stream  bool
	events  int // content events of the answer
	leave   int // go after so many events; 0: stay to the end
}

// writer writes requests.
type writer struct {
	path, host, model string
	bodyBytes         int
}

// asksFor returns what connections ask, in turns; nil for an unknown case.
func asksFor(name string, to writer, events, gapUS int) []ask {
	whole := ask{request: to.request("", "")}
	stream := func(events, hold, leave int) ask {
		hint := fmt.Sprintf("[[events=%d gap_us=%d hold_s=%d]] ", events, gapUS, hold)
		extra := `,"stream":true,"stream_options":{"include_usage":true}`
		return ask{to.request(hint, extra), true, events, leave}
	}
	switch name {
	case "json":
		return []ask{whole}
	case "stream":
		return []ask{stream(events, 0, 0)}
	case "idle":
		return []ask{stream(2, holdS, 1)}
	case "mixed": // seven of ten whole, two streams, one client that leaves midway
		long, left := stream(mixedEvents, 0, 0), stream(mixedEvents, 0, leaveAfter)
		return []ask{whole, whole, long, whole, whole, left, whole, whole, long, whole}
	default:
		return nil
	}
}

// request writes one, its body filled with text up to the wanted size.
func (w writer) request(hint, extra string) []byte {
	before := `{"model":"` + w.model + `","messages":[{"role":"system","content":"You read contracts."},` +
		`{"role":"user","content":"` + hint
	after := `"}],"max_tokens":256,"temperature":0.2` + extra + "}"
	room := max(0, w.bodyBytes-len(before)-len(after))
	body := before + strings.Repeat(filler, room/len(filler)+1)[:room] + after
	return fmt.Appendf(nil, requestHead, w.path, w.host, len(body), body)
}
