package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	completionText = "Clause 7.2 lets either party end the agreement with ninety days' notice in writing."
	usage          = `"usage":{"prompt_tokens":113,"completion_tokens":21,"total_tokens":134}`
	// identity of every answer and event
	identity = `"id":"chatcmpl-7d1f0e6a9b3c4c2f8e5a","object":"%s","created":1767225600,"model":"glm","system_fingerprint":null`
	// a stream's words carry their number, at a fixed width
	wordDigits = 6
)

var (
	completion = []byte("{" + fmt.Sprintf(identity, "chat.completion") +
		`,"choices":[{"index":0,"message":{"role":"assistant","content":"` + completionText +
		`","refusal":null},"logprobs":null,"finish_reason":"stop"}],` + usage + "}")
	chunkHead  = "{" + fmt.Sprintf(identity, "chat.completion.chunk") + `,"choices":[`
	usageEvent = "data: " + chunkHead + "]," + usage + "}\n\n"
	doneEvent  = "data: [DONE]\n\n"
	contentKey = []byte(`"content"`)
	doneWord   = []byte("[DONE]")
)

// wordEvent is the content event of one word.
func wordEvent(number int, last bool) string {
	finish := "null"
	if last {
		finish = `"stop"`
	}
	delta := fmt.Sprintf(`{"index":0,"delta":{"content":" %0*d"},"logprobs":null,"finish_reason":%s}`,
		wordDigits, number, finish)
	return "data: " + chunkHead + delta + "]}\n\n"
}

// wordIn returns the number of the word in an event's data; -1 where it carries none.
func wordIn(data []byte) int {
	_, rest, found := bytes.Cut(data, contentKey)
	if !found {
		return -1
	}
	rest = bytes.TrimLeft(rest, ": \"") // spaces differ where a proxy writes JSON anew
	if len(rest) < wordDigits {
		return -1
	}
	number, err := strconv.Atoi(string(rest[:wordDigits]))
	if err != nil {
		return -1
	}
	return number
}

// checkCompletion tells whether a body is the completion, byte for byte or in meaning.
func checkCompletion(body []byte) error {
	if bytes.Equal(body, completion) {
		return nil
	}
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Total int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if len(answer.Choices) != 1 || answer.Choices[0].Message.Content != completionText {
		return errors.New("another completion than the model's")
	}
	if answer.Usage.Total != 134 {
		return errors.New("another usage than the model's")
	}
	return nil
}
