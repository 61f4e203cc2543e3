package outbox

import (
	"context"
	"strings"
	"unicode/utf8"
)

type (
	actorKey  struct{}
	reasonKey struct{}
)

// By returns a context in which what is done to jobs and queues is recorded as the act of
// who, a person's or a program's name: Requeue, Cancel, RunNow, Reschedule, Delete, Pause,
// Resume, StartOperation, StopOperation, ContinueOperation. Of a longer name the first 200
// bytes are kept.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Because returns a context in which why is recorded as the reason of what is done, where
// the method does not ask for one: 2,000 bytes of it are kept.
func Because(ctx context.Context, why string) context.Context {
	return context.WithValue(ctx, reasonKey{}, why)
}

// maxActor bounds the name of who did something.
const maxActor = 200

func actorOf(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return shortText(who, maxActor)
}

func reasonOf(ctx context.Context) string {
	why, _ := ctx.Value(reasonKey{}).(string)
	return errorText(why)
}

// shortText makes s fit for a row: valid UTF-8, no NUL, of most bytes.
func shortText(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 4*most)], "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
