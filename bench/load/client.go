package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// answerLimit bounds the wait for one answer.
const answerLimit = 60 * time.Second

// errLeft says that the client went midway, as it was asked to.
var errLeft = errors.New("left midway")

// client is one connection, opened when it is needed.
type client struct {
	address string
	until   time.Time // no answer is waited for any longer
	conn    net.Conn
	in      *bufio.Reader
	text    *bufio.Reader // a stream, its chunks undone
	line    []byte
	body    []byte
}

func newClient(address string, until time.Time) *client {
	return &client{
		address: address,
		until:   until,
		in:      bufio.NewReaderSize(nil, 32<<10),
		text:    bufio.NewReaderSize(nil, 32<<10),
	}
}

func (c *client) send(a *ask) error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, answerLimit)
		if err != nil {
			return err
		}
		c.conn = conn
		c.in.Reset(conn)
	}
	limit := time.Now().Add(answerLimit)
	if limit.After(c.until) {
		limit = c.until
	}
	if err := c.conn.SetDeadline(limit); err != nil {
		return err
	}
	_, err := c.conn.Write(a.request)
	return err
}

func (c *client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// leave resets the connection, as a process that ends does: a plain close would keep its port for a
// minute, and there are not enough for all who leave in that time.
func (c *client) leave() {
	if conn, ok := c.conn.(*net.TCPConn); ok {
		_ = conn.SetLinger(0)
	}
}

// receive reads one answer and checks it; seen is called for each content event.
func (c *client) receive(a *ask, seen func()) error {
	h, err := readHead(c.in, c.line)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	c.line = h.start
	if len(h.start) < 12 || string(h.start[9:12]) != "200" {
		c.body, _ = readBody(c.in, h, c.body)
		return fmt.Errorf("answered %q: %.200q", h.start, c.body)
	}
	if a.stream {
		err = c.readStream(a, h, seen)
	} else if c.body, err = readBody(c.in, h, c.body); err == nil {
		err = checkCompletion(c.body)
	}
	if h.close {
		c.drop()
	}
	return err
}

func (c *client) readStream(a *ask, h head, seen func()) error {
	if !h.chunked {
		return errors.New("a stream that is not chunked")
	}
	c.text.Reset(newDechunker(c.in))
	next, done := 0, false
	for {
		line, err := c.text.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("in the stream, after event %d: %w", next, err)
		}
		data, found := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("data: "))
		switch {
		case !found:
			continue
		case done:
			return errors.New("an event after [DONE]")
		case bytes.Equal(data, doneWord):
			done = true
			continue
		}
		switch wordIn(data) {
		case next:
			next++
			seen()
			if next == a.leave {
				c.leave()
				return errLeft
			}
		case -1: // role, usage or finish: not every proxy sends them alike
		default:
			return fmt.Errorf("want event %d, got %.200q", next, data)
		}
	}
	if next != a.events || !done {
		return fmt.Errorf("got %d events of %d, [DONE] %t", next, a.events, done)
	}
	return nil
}
