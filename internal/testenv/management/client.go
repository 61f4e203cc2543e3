package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrNotFound says that the server does not have what a request named.
var ErrNotFound = errors.New("not found")

// Client speaks to one server. It is safe for concurrent use and keeps nothing
// open between requests.
type Client struct {
	base string
	user *url.Userinfo
	http *http.Client
}

// New returns a client for the address of a management API, such as
// http://user:password@127.0.0.1:15672. It does no I/O.
func New(address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("management API: its address is no URL") // the address holds a password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User == nil {
		return nil, errors.New("management API: its address must look like http://user:password@host:15672")
	}
	user := u.User
	u.User = nil
	return &Client{
		base: strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/api"), "/"),
		user: user,
		http: &http.Client{
			Timeout: 15 * time.Second,
			// A connection kept open would be a goroutine left behind by a test.
			Transport: &http.Transport{DisableKeepAlives: true},
		},
	}, nil
}

// Ping reports whether the server answers and accepts the user.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, nil, nil, "whoami")
}

// Version is the server's.
func (c *Client) Version(ctx context.Context) (string, error) {
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	err := c.call(ctx, http.MethodGet, nil, &overview, "overview")
	return overview.Version, err
}

// RunningNodes counts the nodes of its cluster that the server knows to run.
func (c *Client) RunningNodes(ctx context.Context) (n int, err error) {
	var nodes []struct {
		Running bool `json:"running"`
	}
	err = c.call(ctx, http.MethodGet, nil, &nodes, "nodes")
	for _, node := range nodes {
		if node.Running {
			n++
		}
	}
	return n, err
}

// call sends in as JSON and reads the answer into out; either may be nil. path
// is what follows /api, element by element, so that a vhost "/" survives.
func (c *Client) call(ctx context.Context, method string, in, out any, path ...string) error {
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	where := "/api/" + strings.Join(path, "/")
	body := io.Reader(http.NoBody)
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, where, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+where, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, where, err)
	}
	password, _ := c.user.Password()
	req.SetBasicAuth(c.user.Username(), password)
	req.Header.Set("Content-Type", "application/json")
	return c.do(req, out)
}

func (c *Client) do(req *http.Request, out any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s %s: %w", req.Method, req.URL.EscapedPath(), err)
		}
	}()
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case res.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("%s: %s", res.Status, bytes.TrimSpace(raw))
	case out == nil:
		return nil
	}
	return json.Unmarshal(raw, out)
}
