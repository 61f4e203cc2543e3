package workspace

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// deadline bounds a question to the go command, which may have to download a
// module's requirements first.
const deadline = 5 * time.Minute

// Modules returns the folders of the workspace's modules that hold at least
// one package, relative to the working directory and starting with a dot, as
// the go command wants them.
func Modules(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	out, err := goList(ctx, "", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for dir := range strings.Lines(out) {
		dir = strings.TrimSpace(dir)
		packages, err := goList(ctx, dir, "./...")
		if err != nil {
			return nil, err
		}
		if packages == "" {
			continue
		}
		rel, err := filepath.Rel(here, dir)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, "."+string(filepath.Separator)+rel)
	}
	return dirs, nil
}

func goList(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
