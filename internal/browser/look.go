package browser

import (
	"github.com/chromedp/cdproto/emulation"
)

// Screen is what somebody looks at.
type Screen struct {
	Name          string
	Width, Height int64
	phone         bool
}

// The screens of the tests.
var (
	Desktop = Screen{Name: "desktop", Width: 1280, Height: 800}
	Phone   = Screen{Name: "phone", Width: 390, Height: 844, phone: true}
)

// Colours are what a system prefers.
type Colours string

// The two that there are.
const (
	Light Colours = "light"
	Dark  Colours = "dark"
)

// Look changes the screen and the preferred colours.
func (p *Page) Look(s Screen, c Colours) {
	p.tb.Helper()
	p.run("look at a "+s.Name,
		order(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: s.Width, Height: s.Height, DeviceScaleFactor: 1, Mobile: s.phone,
			ScrollbarType: emulation.SetDeviceMetricsOverrideScrollbarTypeOverlay,
		}),
		order(emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: s.phone}),
		order(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: string(c)},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
	)
}

// WithoutScripts has the browser run none from the next page on.
func (p *Page) WithoutScripts() {
	p.tb.Helper()
	p.run("forbid scripts", order(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// Wider reports by how many pixels the page is wider than the screen: what one
// would have to scroll for.
func (p *Page) Wider() int {
	p.tb.Helper()
	return Script[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
}
