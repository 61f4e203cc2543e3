package browser

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// tallest is how many screens high a picture is at most.
const tallest = 2

// Shoot writes a picture of the page to file: all of it, or as much as fits on two
// screens below each other.
func (p *Page) Shoot(file string) {
	p.tb.Helper()
	size := Script[[]int](p, fmt.Sprintf("[innerWidth, Math.min(document.documentElement.scrollHeight, %d * innerHeight)]", tallest))
	beyond := true
	raw := ask(p, "take a picture", func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		answer, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &beyond,
			Clip: &page.Viewport{Width: float64(size[0]), Height: float64(size[1]), Scale: 1},
		})
		return answer.Data, err
	})
	small, err := fewColours(raw)
	if err != nil {
		p.tb.Fatalf("take a picture: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.tb.Fatal(err)
	}
	if err := os.WriteFile(file, small, 0o600); err != nil {
		p.tb.Fatal(err)
	}
}

// fewColours makes a picture of a page a third as large: its 256 most frequent colours
// are all that matter. The others are at the edges of letters, where nobody sees it.
func fewColours(raw []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	often := make(map[color.Color]int)
	for x, y := range points(full) {
		often[full.At(x, y)]++
	}
	palette := slices.SortedFunc(maps.Keys(often), func(a, b color.Color) int { return often[b] - often[a] })
	few := image.NewPaletted(full.Bounds(), palette[:min(len(palette), 256)])
	nearest := make(map[color.Color]uint8)
	for x, y := range points(full) {
		exact := full.At(x, y)
		i, known := nearest[exact]
		if !known {
			i = uint8(few.Palette.Index(exact))
			nearest[exact] = i
		}
		few.SetColorIndex(x, y, i)
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}

// points are those of a picture.
func points(of image.Image) iter.Seq2[int, int] {
	bounds := of.Bounds()
	return func(yield func(x, y int) bool) {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				if !yield(x, y) {
					return
				}
			}
		}
	}
}
