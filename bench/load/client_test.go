package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// The generator must not take a broken answer for a good one.
func TestAnswersAreChecked(t *testing.T) {
	zero, one, done := chunk(wordEvent(0, false)), chunk(wordEvent(1, true)), chunk(doneEvent)
	const end = "0\r\n\r\n"
	whole := fmt.Sprintf(jsonHead, len(completion)) + string(completion)
	two := ask{stream: true, events: 2}
	for name, try := range map[string]struct {
		answer string
		ask    ask
		want   string // in the error; empty: a good answer
	}{
		"whole":                 {whole, ask{}, ""},
		"cut short":             {whole[:len(whole)-1], ask{}, "unexpected EOF"},
		"written anew":          {anew(strings.ReplaceAll(string(completion), ":", ": ")), ask{}, ""},
		"another text":          {anew(strings.Replace(string(completion), "ninety", "thirty", 1)), ask{}, "another completion"},
		"not JSON":              {anew("{"), ask{}, "not JSON"},
		"an error":              {"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno", ask{}, `503 Busy": "no"`},
		"no answer":             {"", ask{}, "no answer"},
		"stream":                {streamHead + zero + one + done + end, two, ""},
		"stream, chunks split":  {streamHead + chunk("data: {\"content\": \" 000") + chunk("000\"}\n\n") + one + done + end, two, ""},
		"stream with usage":     {streamHead + zero + one + chunk(usageEvent) + done + end, two, ""},
		"event lost":            {streamHead + one + done + end, two, "want event 0"},
		"last event lost":       {streamHead + zero + done + end, two, "got 1 events of 2"},
		"event twice":           {streamHead + zero + zero + one + done + end, two, "want event 1"},
		"no [DONE]":             {streamHead + zero + one + end, two, "[DONE] false"},
		"[DONE] twice":          {streamHead + zero + one + done + done + end, two, "after [DONE]"},
		"broken off":            {streamHead + zero, two, "after event 1"},
		"left midway, as asked": {streamHead + zero, ask{stream: true, events: 2, leave: 1}, errLeft.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient("", time.Time{})
			c.in.Reset(strings.NewReader(try.answer))
			err := c.receive(&try.ask, func() {})
			if said := fmt.Sprint(err); err == nil != (try.want == "") || !strings.Contains(said, try.want) && err != nil {
				t.Fatalf("want %q, got %v", try.want, err)
			}
		})
	}
}

func anew(body string) string {
	return fmt.Sprintf(jsonHead, len(body)) + body
}

// A stalled proxy is charged for everyone it keeps waiting.
func TestOpenLoopMeasuresFromWhenARequestWasDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	m := &model{idle: time.Minute, whole: []byte(anew(string(completion)))}
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			time.Sleep(stall)
			m.talk(conn)
		}
	}()
	address := listener.Addr().String()
	asks := asksFor("json", writer{"/v1/chat/completions", address, "glm", 512}, 0, 0)
	got, err := openLoop(plan{address: address, asks: asks, connections: 1, rate: 100, duration: stall * 5 / 4})
	if err != nil || got.Errors > 0 {
		t.Fatal(err, got.FirstError)
	}
	// most of the 25 requests fell due during the stall: had they waited to be asked, only one would be late
	if *got.P50 < 20 {
		t.Fatalf("the stall does not show: p50 %.1f ms", *got.P50)
	}
}
