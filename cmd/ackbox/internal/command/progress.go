package command

import (
	"fmt"
	"io"
	"time"
)

// progress tells a person how far something is: on a screen in one line that changes, else
// in lines every few seconds. Standard output stays for what was asked for.
type progress struct {
	out    io.Writer
	screen bool
	last   time.Time
	told   bool
}

func (a *app) progress() *progress { return &progress{out: a.env.Err, screen: a.env.Terminal} }

func (p *progress) tell(text string) {
	pause := 5 * time.Second
	if p.screen {
		pause = 100 * time.Millisecond
	}
	if time.Since(p.last) < pause {
		return
	}
	p.last, p.told = time.Now(), true
	if p.screen {
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s", clean(text))
		return
	}
	_, _ = fmt.Fprintln(p.out, clean(text))
}

func (p *progress) end() {
	if p.screen && p.told {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}
