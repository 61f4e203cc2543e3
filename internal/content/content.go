// Package content reads what other programs publish: it undoes the encoding of a body and
// gives a name to a message that came without one. It imports the root package alone.
package content

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxDecoded bounds a decoded body, in bytes: a few kilobytes of gzip can be gigabytes.
const MaxDecoded = 64 << 20

// ErrEncoding is wrapped by the errors of [Decode]. Their texts hold nothing of the body.
var ErrEncoding = errors.New("the content-encoding")

// Decode undoes the encoding that a message's content-encoding names. Names that say how
// text is encoded, as some clients put there (utf-8), leave the body as it is, and so
// does every other that it does not know.
func Decode(encoding string, body []byte) ([]byte, error) {
	return decode(encoding, body, MaxDecoded)
}

func decode(encoding string, body []byte, limit int64) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "gzip", "x-gzip":
	default:
		return body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w is gzip, the body is not: %w", ErrEncoding, err)
	}
	decoded, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w is gzip, the body is damaged: %w", ErrEncoding, err)
	case int64(len(decoded)) > limit:
		return nil, fmt.Errorf("%w is gzip, and the body has more than %d bytes", ErrEncoding, limit)
	}
	return decoded, nil
}
