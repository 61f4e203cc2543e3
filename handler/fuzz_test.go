package handler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

// everything is arguments with a field of each sort that a decoder knows.
type everything struct {
	Text    string            `json:"t"`
	Number  int8              `json:"n"`
	Quoted  int               `json:"q,string"`
	Float   float32           `json:"f"`
	Flag    *bool             `json:"b"`
	When    time.Time         `json:"w"`
	Octets  []byte            `json:"o"`
	List    [2]uint           `json:"l"`
	Map     map[int]greet     `json:"m"`
	Any     any               `json:"a"`
	Deep    []*everything     `json:"d"`
	Strings map[string]string `json:"s"`
}

func (everything) Kind() string { return "everything" }

// A payload of any octets is decoded, or refused with an error that says where
// it is wrong without repeating it. Nothing panics, and
// FailAction is called if, and only if, it has arguments.
func FuzzDecode(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"t":"`, `"}`},
		{`{"n":"`, `"}`},
		{`{"q":"`, `"}`},
		{`{"f":"`, `"}`},
		{`{"b":"`, `"}`},
		{`{"w":"`, `"}`},
		{`{"o":"`, `"}`},
		{`{"l":["`, `"]}`},
		{`{"m":{"`, `":{}}}`},
		{`{"m":{"1":{"age":"`, `"}}}`},
		{`{"d":[{"d":[{"n":"`, `"}]}]}`},
		{`"`, `"`},
		{`["`, `"]`},
		{``, ``},
		{"null", ""},
		{`{"t":`, `}`},
		{"\xff", "\x00"},
		{`{"n":1e999}//`, ``},
		{`{"`, `":1}`},
		{`{"n":129,"t":"`, `"}`},
		{`{"s":{"`, `":1}}`},
		{strings.Repeat(`{"d":[`, 100), ``},
		{strings.Repeat(`[`, 11_000), ``},
	} {
		f.Add(seed[0], seed[1])
	}
	// It is in every payload, and must be in no error.
	const marker = "m4rker-in-the-payload"
	r := handler.NewRegistry()
	called := false
	handler.Register(r, &typedFunc[everything]{failAction: func(context.Context, handler.Job[everything], error) error {
		called = true
		return nil
	}})
	h, ok := registry.Lookup(r, "everything")
	if !ok {
		f.Fatal(r.Err())
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		job := ackbox.Job{Kind: "everything", Payload: []byte(before + marker + after)}
		err := h.Handler.Consume(t.Context(), job)
		if err != nil {
			var undecodable *handler.DecodeError
			if !errors.As(err, &undecodable) {
				t.Errorf("%q: %v", job.Payload, err)
			}
			if strings.Contains(err.Error(), marker) {
				t.Errorf("%q: the error repeats it: %v", job.Payload, err)
			}
			if len(err.Error()) > 500 {
				t.Errorf("%q: the error has %d bytes", job.Payload, len(err.Error()))
			}
		}
		called = false
		failed := h.Handler.FailAction(t.Context(), job, errors.New("given up"))
		if called != (err == nil) || errors.Is(failed, registry.ErrNotCalled) == called {
			t.Errorf("%q: FailAction was called: %v, %v", job.Payload, called, failed)
		}
	})
}
