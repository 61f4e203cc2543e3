package outbox

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// bookmark is where a list goes on: behind a row of one of the ways that it goes.
type bookmark struct {
	Way int    `json:"w"`
	At  int64  `json:"t"` // microseconds since 1970
	ID  string `json:"i"`
}

func (p bookmark) encode() string {
	text, _ := json.Marshal(p) // numbers and a text always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePlace(after string) (p bookmark, err error) {
	if after == "" {
		return bookmark{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil || json.Unmarshal(text, &p) != nil || p.Way < 0 || p.ID != "" && (!validID(p.ID) || !inYears(time.UnixMicro(p.At))) {
		return bookmark{}, ErrPlace
	}
	return p, nil
}
