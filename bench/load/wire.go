package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
)

// head is what framing needs to know of a message.
type head struct {
	start   []byte // request or status line, valid until the next read
	length  int    // content-length, -1 where there is none
	chunked bool
	close   bool
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	connection       = []byte("connection")
)

// readHead reads a message's first line and fields. io.EOF: the peer closed between two messages.
func readHead(in *bufio.Reader, line []byte) (head, error) {
	found := head{length: -1}
	first, err := in.ReadSlice('\n')
	if err != nil {
		if len(first) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return found, err
	}
	found.start = append(line[:0], bytes.TrimRight(first, "\r\n")...)
	for {
		field, err := in.ReadSlice('\n')
		if err != nil {
			return found, fmt.Errorf("in the headers: %w", err)
		}
		field = bytes.TrimRight(field, "\r\n")
		if len(field) == 0 {
			return found, nil
		}
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok {
			return found, errors.New("a header without a colon")
		}
		if err := found.note(name, bytes.TrimSpace(value)); err != nil {
			return found, err
		}
	}
}

func (h *head) note(name, value []byte) error {
	switch len(name) { // most names differ in length already
	case len(contentLength):
		if bytes.EqualFold(name, contentLength) {
			length, err := strconv.Atoi(string(value))
			h.length = length
			return err
		}
	case len(transferEncoding):
		if bytes.EqualFold(name, transferEncoding) {
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	case len(connection):
		if bytes.EqualFold(name, connection) {
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	return nil
}

// readBody reads a whole body into `into`, which grows.
func readBody(in *bufio.Reader, h head, into []byte) ([]byte, error) {
	if h.chunked {
		return appendAll(into[:0], newDechunker(in))
	}
	if h.length < 0 {
		return nil, errors.New("neither content-length nor chunked")
	}
	if cap(into) < h.length {
		into = make([]byte, h.length)
	}
	_, err := io.ReadFull(in, into[:h.length])
	return into[:h.length], err
}

func appendAll(into []byte, from io.Reader) ([]byte, error) {
	grown := bytes.NewBuffer(into)
	_, err := grown.ReadFrom(from)
	return grown.Bytes(), err
}

// dechunker undoes chunked encoding, the trailing blank line included.
type dechunker struct {
	in     *bufio.Reader
	chunks io.Reader
}

func newDechunker(in *bufio.Reader) *dechunker {
	return &dechunker{in, httputil.NewChunkedReader(in)}
}

func (d *dechunker) Read(p []byte) (int, error) {
	n, err := d.chunks.Read(p)
	if err != io.EOF {
		return n, err
	}
	for { // trailers, of which there are none, then a blank line
		line, err := d.in.ReadSlice('\n')
		if err != nil {
			return n, err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return n, io.EOF
		}
	}
}
