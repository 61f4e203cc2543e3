package browser

// Faint lists texts whose contrast with what they stand on is below that of WCAG's
// level AA: 4.5, for large letters 3.
func (p *Page) Faint() []string {
	p.tb.Helper()
	return Script[[]string](p, `(() => {
	const rgb = c => { // whatever CSS calls a colour
		const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
		const g = canvas.getContext("2d", {willReadFrequently: true});
		g.fillStyle = c; g.fillRect(0, 0, 1, 1);
		const d = g.getImageData(0, 0, 1, 1).data;
		return [d[0], d[1], d[2], d[3] / 255];
	};
	const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const behind = e => {
		const layers = [];
		for (; e; e = e.parentElement) layers.push(rgb(getComputedStyle(e).backgroundColor));
		return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
	};
	const light = c => {
		const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const faint = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
		if (!text || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
		if (e.closest("svg") || e.closest("[disabled]")) continue;
		const style = getComputedStyle(e), ground = behind(e), ink = over(rgb(style.color), ground);
		const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) faint.add(e.tagName.toLowerCase() + "." + e.className + " " + ratio.toFixed(2) + ": " + text.slice(0, 40));
	}
	return [...faint];
})()`)
}

// Nameless lists fields, buttons and links that have no name for who cannot see them.
func (p *Page) Nameless() []string {
	p.tb.Helper()
	return Script[[]string](p, `[...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href], summary")].filter(e =>
	!e.getAttribute("aria-label") && !(e.labels && [...e.labels].some(l => l.textContent.trim())) && !e.textContent.trim() && !e.title
).map(e => e.outerHTML.slice(0, 120))`)
}
