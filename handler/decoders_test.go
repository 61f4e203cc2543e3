package handler_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

// sent is a job that came as a message with these properties.
func sent(contentType, encoding string, body []byte) ackbox.Job {
	return ackbox.Job{Kind: "greet", Payload: body, Message: &ackbox.Message{ContentType: contentType, ContentEncoding: encoding, Body: body}}
}

func zipped(t *testing.T, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(body))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// letters decodes by the first letter alone, to tell decoders apart.
func letters(letter string) handler.Decoder {
	return func(_ []byte, into any) error {
		g, ok := into.(*greet)
		if !ok {
			return errors.New("no greet")
		}
		g.Name = letter
		return nil
	}
}

func TestDecodersByContentType(t *testing.T) {
	t.Parallel()
	var got string
	consume := func(_ context.Context, job handler.Job[greet]) error { got = job.Args.Name; return nil }
	r := handler.NewRegistry()
	r.Decode("application/xml", xml.Unmarshal)
	r.Decode("application/a", letters("registry's a"))
	r.Decode("application/b", letters("registry's b"))
	handler.RegisterFunc(r, consume, handler.WithDecoder("Application/B", letters("own b")))
	h := handlerOf(t, r, "greet")
	const ada = `{"name":"Ada"}`
	for _, tt := range []struct {
		contentType, body, want string
	}{
		{"", ada, "Ada"},
		{"application/json; charset=utf-8", ada, "Ada"},
		{"application/octet-stream", ada, "Ada"},
		{"no type at all;;", ada, "Ada"},
		{"application/a", "x", "registry's a"},
		{"APPLICATION/A; v=1", "x", "registry's a"},
		{"application/b", "x", "own b"},
		{"application/xml", "<greet><Name>Xenia</Name></greet>", "Xenia"},
	} {
		got = ""
		if err := h.Consume(t.Context(), sent(tt.contentType, "", []byte(tt.body))); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.contentType, got, err, tt.want)
		}
	}
	err := h.Consume(t.Context(), sent("application/x-protobuf", "", []byte("secret")))
	var undecodable *handler.DecodeError
	if !errors.As(err, &undecodable) || !strings.Contains(err.Error(), `its content type is "application/x-protobuf", for which no decoder is registered`) || strings.Contains(err.Error(), "secret") {
		t.Errorf("no decoder: %v", err)
	}
	// A ledger's job is JSON.
	if err := h.Consume(t.Context(), ackbox.Job{Kind: "greet", Payload: []byte(ada)}); err != nil || got != "Ada" {
		t.Errorf("a job: %q, %v", got, err)
	}
}

func TestBadDecoders(t *testing.T) {
	t.Parallel()
	consume := func(context.Context, handler.Job[greet]) error { return nil }
	for want, register := range map[string]func(*handler.Registry){
		`handler: Decode: the content type is "a/b; v=1": want one such as`: func(r *handler.Registry) { r.Decode("a/b; v=1", letters("x")) },
		`handler: Decode: the content type is ""`:                           func(r *handler.Registry) { r.Decode("", letters("x")) },
		`handler: Decode: the decoder of a/b is nil`:                        func(r *handler.Registry) { r.Decode("a/b", nil) },
		`handler: register greet: WithDecoder: the decoder of a/b is nil`:   func(r *handler.Registry) { handler.RegisterFunc(r, consume, handler.WithDecoder("a/b", nil)) },
		`handler: register x: Strict and WithDecoder are for typed`:         func(r *handler.Registry) { r.Handle("x", handler.FromReceiver(&old{}), handler.Strict()) },
		`handler: register "y": the handler is nil`:                         func(r *handler.Registry) { r.Handle("y", handler.FromReceiver((*old)(nil))) },
	} {
		r := handler.NewRegistry()
		register(r)
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A field that a producer has renamed is no zero.
func TestStrict(t *testing.T) {
	t.Parallel()
	ran := 0
	consume := func(context.Context, handler.Job[greet]) error { ran++; return nil }
	loose, strict := handler.NewRegistry(), handler.NewRegistry()
	handler.RegisterFunc(loose, consume)
	handler.RegisterFunc(strict, consume, handler.Strict())
	for body, want := range map[string]string{
		`{"name":"a","age":1}`:    "",
		`{"Name":"a"}`:            "",
		`{"full_name":"secret"}`:  `it has a field "full_name", which the arguments do not have`,
		`{"name":"secret"} {}`:    "it is no valid JSON (byte 19)",
		`{"name":"secret"`:        "it is no valid JSON (byte 16)",
		`{"name":{"secret":"x"}}`: "a object cannot be field",
		`null`:                    "",
		`{"name":"a"} ` + "\n\t":  "",
		`{"age":"secret"}`:        "a string cannot be field",
		`{"name":"a","name":"b"}`: "",
	} {
		err := handlerOf(t, strict, "greet").Consume(t.Context(), sent("", "", []byte(body)))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", body, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want an error that says %q", body, err, want)
		}
	}
	before := ran
	if err := handlerOf(t, loose, "greet").Consume(t.Context(), sent("", "", []byte(`{"full_name":"x"}`))); err != nil || ran != before+1 {
		t.Errorf("without Strict: %v, ran %d times", err, ran-before)
	}
}

// Every handler gets the body as it was before its producer packed it.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	var got []string
	r := handler.NewRegistry()
	handler.RegisterFunc(r, func(_ context.Context, job handler.Job[greet]) error {
		got = append(got, job.Args.Name, string(job.Payload))
		return nil
	})
	o := &old{}
	r.Handle("old", handler.FromReceiver(o))
	const ada = `{"name":"Ada"}`
	packed := sent("application/json", "gzip", zipped(t, ada))
	for _, kind := range []string{"greet", "old"} {
		h := handlerOf(t, r, kind)
		if err := h.Consume(t.Context(), packed); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		broken := sent("application/json", "gzip", []byte("secret"))
		err := h.Consume(t.Context(), broken)
		var undecodable *handler.DecodeError
		if !errors.As(err, &undecodable) || !strings.Contains(err.Error(), "the content-encoding is gzip, the body is not") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", kind, err)
		}
		if kind == "old" {
			if err := h.FailAction(t.Context(), broken, err); !errors.Is(err, registry.ErrNotCalled) {
				t.Errorf("FailAction: %v", err)
			}
			if err := h.FailAction(t.Context(), packed, errors.New("cause")); err != nil {
				t.Error(err)
			}
		}
	}
	if strings.Join(got, " ") != "Ada "+ada || strings.Join(o.calls, " ") != "consume "+ada+" cause "+ada {
		t.Errorf("got %q and %q", got, o.calls)
	}
	if !bytes.Equal(packed.Payload, packed.Message.Body) {
		t.Error("the message was changed")
	}
}

// old is a receiver as people have it.
type old struct{ calls []string }

func (o *old) Consumer(body []byte) error {
	o.calls = append(o.calls, "consume "+string(body))
	return nil
}

func (o *old) FailAction(cause error, body []byte) error {
	o.calls = append(o.calls, cause.Error()+" "+string(body))
	return nil
}
