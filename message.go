package ackbox

import "time"

// Message is what a job without a row came as: a message that somebody else, in
// whatever language, has published to a work queue. Everything that its producer said is
// here as it was said; the fields of [Job] beside it are what was made of that. It is
// shared by the copies of its Job and must not be modified.
type Message struct {
	// Exchange and RoutingKey are those by which the producer published, on every try.
	Exchange   string
	RoutingKey string
	// The properties, as AMQP 0-9-1 names them (Type is type, ID is message-id).
	ID              string
	Type            string
	AppID           string
	UserID          string
	CorrelationID   string
	ReplyTo         string
	ContentType     string
	ContentEncoding string
	Expiration      string
	Priority        uint8
	Timestamp       time.Time
	// Headers are the producer's, with their types: string, []byte, bool, the integers,
	// float32 and float64, time.Time, nil, map[string]any, []any. Those of the broker
	// (x-death and its like) are among them; those of Ackbox are not.
	Headers map[string]any
	// Body is what was sent, still encoded if ContentEncoding says so.
	Body []byte
}
