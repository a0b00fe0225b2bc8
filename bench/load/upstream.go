package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	mostEvents = 10000
	streamHead = "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\n" +
		"transfer-encoding: chunked\r\n\r\n"
	jsonHead = "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)

var (
	streamKey = regexp.MustCompile(`"stream"\s*:\s*true`)
	usageKey  = regexp.MustCompile(`"include_usage"\s*:\s*true`)
	hintMark  = []byte("[[events=")
	hints     = regexp.MustCompile(`\[\[events=(\d+) gap_us=(\d+) hold_s=(\d+)\]\]`)
)

// model is an OpenAI-compatible model that takes no time. How a stream goes is written in the
// prompt, since proxies do not pass headers on: [[events=100 gap_us=0 hold_s=0]].
type model struct {
	idle     time.Duration
	whole    []byte   // the whole response to a request without a stream
	words    []string // events, chunk-encoded
	requests atomic.Int64
	streams  atomic.Int64
	left     atomic.Int64 // streams whose client went early
	bytes    atomic.Int64 // bodies received
}

// pace is how a stream goes.
type pace struct {
	events int
	gap    time.Duration
	hold   time.Duration // after the first event
	usage  bool
}

func serve(listen string, idle time.Duration) error {
	m := &model{idle: idle, whole: fmt.Appendf(nil, jsonHead, len(completion))}
	m.whole = append(m.whole, completion...)
	for number := range mostEvents {
		m.words = append(m.words, chunk(wordEvent(number, false)))
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go m.talk(conn)
	}
}

func chunk(text string) string {
	return fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
}

// talk answers one connection's requests, in order.
func (m *model) talk(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	var line, body []byte
	for {
		if conn.SetReadDeadline(time.Now().Add(m.idle)) != nil {
			return
		}
		h, err := readHead(in, line)
		if err != nil {
			return
		}
		line = h.start
		if !h.chunked && h.length < 0 {
			h.length = 0
		}
		if body, err = readBody(in, h, body); err != nil {
			return
		}
		if m.answer(conn, in, h, body) != nil || h.close {
			return
		}
	}
}

func (m *model) answer(conn net.Conn, in *bufio.Reader, h head, body []byte) error {
	if bytes.HasPrefix(h.start, []byte("GET ")) {
		return m.tell(conn)
	}
	m.bytes.Add(int64(len(body)))
	if streamKey.Match(body) {
		m.streams.Add(1)
		return m.stream(conn, in, paceOf(body))
	}
	m.requests.Add(1)
	_, err := conn.Write(m.whole)
	return err
}

func (m *model) tell(conn net.Conn) error {
	told := fmt.Appendf(nil, `{"requests":%d,"streams":%d,"left":%d,"bytes":%d}`,
		m.requests.Load(), m.streams.Load(), m.left.Load(), m.bytes.Load())
	_, err := conn.Write(append(fmt.Appendf(nil, jsonHead, len(told)), told...))
	return err
}

func paceOf(body []byte) pace {
	found := pace{events: 100, usage: usageKey.Match(body)}
	if at := bytes.Index(body, hintMark); at >= 0 {
		if groups := hints.FindSubmatch(body[at:]); groups != nil {
			found.events = min(number(groups[1]), mostEvents)
			found.gap = time.Duration(number(groups[2])) * time.Microsecond
			found.hold = time.Duration(number(groups[3])) * time.Second
		}
	}
	return found
}

func number(digits []byte) int {
	value, _ := strconv.Atoi(string(digits)) // the pattern lets digits through, no more
	return value
}

// stream writes one event at a time, as a model does.
func (m *model) stream(conn net.Conn, in *bufio.Reader, p pace) error {
	text := []byte(streamHead)
	for n := range p.events {
		if n == p.events-1 {
			text = append(text, chunk(wordEvent(n, true))...)
		} else {
			text = append(text, m.words[n]...)
		}
		if _, err := conn.Write(text); err != nil {
			m.left.Add(1)
			return err
		}
		text = text[:0]
		if n == 0 && p.hold > 0 && !stays(conn, in, p.hold) {
			m.left.Add(1)
			return net.ErrClosed
		}
		if p.gap > 0 {
			time.Sleep(p.gap)
		}
	}
	if p.usage {
		text = append(text, chunk(usageEvent)...)
	}
	text = append(text, chunk(doneEvent)...)
	_, err := conn.Write(append(text, "0\r\n\r\n"...))
	return err
}

// stays waits, and tells whether the client is still there.
func stays(conn net.Conn, in *bufio.Reader, wait time.Duration) bool {
	if conn.SetReadDeadline(time.Now().Add(wait)) != nil {
		return false
	}
	_, err := in.Peek(1)
	timeout, ok := err.(net.Error)
	return err == nil || ok && timeout.Timeout()
}
