package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets/app.css assets/app.js assets/icon.svg
var assetFiles embed.FS

// asset is a file whose name says what is in it, so that a browser may keep it for ever.
type asset struct {
	name string
	body []byte
}

var assets = loadAssets()

// loadAssets gives app.css under its own name and under that with its hash.
func loadAssets() map[string]asset {
	all := make(map[string]asset)
	for _, name := range []string{"app.css", "app.js", "icon.svg"} {
		body, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			continue // embed has it, or there is no program
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(name)
		all[name] = asset{strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext, body}
	}
	return all
}

// assetPath is where a page finds the asset, from the dashboard's root on.
func assetPath(name string) string { return "assets/" + assets[name].name }

// serveAsset needs no permission: there is nothing in a style sheet.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range assets {
		if a.name == r.PathValue("name") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.body))
			return
		}
	}
	http.NotFound(w, r)
}
