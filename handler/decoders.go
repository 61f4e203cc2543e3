package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/registry"
)

// Decoder decodes a body into the arguments that into points to, as json.Unmarshal does.
// It must be safe for concurrent use.
type Decoder func(body []byte, into any) error

// Decode has d decode messages of a content type ("application/x-protobuf", without
// parameters, in any case of letters) for every typed handler that has no decoder of its
// own for it. Everything else is JSON. A mistake is reported by [Registry.Err].
func (r *Registry) Decode(contentType string, d Decoder) {
	media, err := mediaOf(contentType, d)
	if err != nil {
		r.fail(fmt.Errorf("handler: Decode: %w", err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decoders == nil {
		r.decoders = make(map[string]Decoder)
	}
	r.decoders[media] = d
}

// WithDecoder has d decode messages of a content type for this typed handler, instead of
// what [Registry.Decode] says.
func WithDecoder(contentType string, d Decoder) Option {
	return func(r *registration) error {
		media, err := mediaOf(contentType, d)
		if err != nil {
			return fmt.Errorf("WithDecoder: %w", err)
		}
		if r.decoders == nil {
			r.decoders = make(map[string]Decoder)
		}
		r.decoders[media] = d
		return nil
	}
}

// Strict has JSON refused that has a field which the arguments of this typed handler do
// not have: a [DecodeError]. Without it a field that its producer has renamed is zero, and
// the job is done. It says nothing of fields that are absent, nor of other decoders.
func Strict() Option {
	return func(r *registration) error {
		r.strict = true
		return nil
	}
}

func mediaOf(contentType string, d Decoder) (string, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || media != strings.ToLower(strings.TrimSpace(contentType)):
		return "", fmt.Errorf("the content type is %.100q: want one such as application/x-protobuf, without parameters", contentType)
	case d == nil:
		return "", fmt.Errorf("the decoder of %s is nil", media)
	}
	return media, nil
}

// media is what a job's message says its content is, "" if it says nothing of use.
func media(job ackbox.Job) string {
	if job.Message == nil {
		return ""
	}
	media, _, err := mime.ParseMediaType(job.Message.ContentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return ""
	}
	return media
}

// decoder returns how to decode job's payload.
func (r *registration) decoder(job ackbox.Job) Decoder {
	media := media(job)
	if d, ok := r.decoders[media]; ok {
		return d
	}
	if d, ok := r.registry.decoder(media); ok {
		return d
	}
	if r.strict {
		return strictly
	}
	return json.Unmarshal
}

func (r *Registry) decoder(media string) (Decoder, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.decoders[media]
	return d, ok
}

func strictly(body []byte, into any) error {
	// This finds what follows the value, and says where the JSON is wrong.
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// plainly gives next the payload without its content-encoding.
func plainly(next Func) Func {
	return func(ctx context.Context, job ackbox.Job) error {
		if job.Message == nil || job.Message.ContentEncoding == "" {
			return next(ctx, job)
		}
		body, err := content.Decode(job.Message.ContentEncoding, job.Payload)
		if err != nil {
			err = &DecodeError{Kind: job.Kind, Err: err}
			if run, _ := ackbox.RunFrom(ctx); run.Cause != nil {
				return fmt.Errorf("%w: %w", registry.ErrNotCalled, err)
			}
			return err
		}
		job.Payload = body
		return next(ctx, job)
	}
}
