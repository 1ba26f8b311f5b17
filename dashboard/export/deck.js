// Presents a deck over the whole window. Used by the page that presents and by the file that works offline.
const DECK_STYLE = `
.softh-deck { --u: 1vmin; position: fixed; inset: 0; z-index: 1000000; overflow: hidden; font-family: "Source Sans", "Source Sans 3",
  "Source Sans Pro", "Helvetica Neue", Arial, sans-serif; }
.softh-sheets { --u: 7.2px; }
.softh-sheets .softh-slide { position: relative; width: 13.3333in; height: 7.5in; }
.softh-sheets .softh-slide + .softh-slide { break-before: page; }
.softh-slide { position: absolute; inset: 0; display: flex; flex-direction: column; box-sizing: border-box;
  padding: calc(3.2 * var(--u)) calc(4 * var(--u)) calc(2.4 * var(--u)); }
.softh-slide h1 { font-size: clamp(20px, calc(4.6 * var(--u)), 60px); line-height: 1.15; font-weight: 650; margin: 0 0 calc(1.6 * var(--u)); outline: none; }
.softh-slide .figures { flex: 1; min-height: 0; display: flex; gap: calc(2 * var(--u)); }
.softh-slide .figures.four { display: grid; grid-template-columns: repeat(2, 1fr); grid-auto-rows: 1fr; }
.softh-slide .figures.many { display: grid; grid-template-columns: repeat(3, 1fr); grid-auto-rows: 1fr; }
.softh-deck .softh-slide .note { padding-right: 190px; } /* of the bar */
.softh-slide .figure { flex: 1; min-width: 0; position: relative; overflow: hidden; }
.softh-slide .figure > div { transform-origin: 0 0; position: absolute; }
.softh-slide .problem { font-size: clamp(16px, calc(3 * var(--u)), 36px); margin: auto; max-width: 40em; }
.softh-slide .note { font-size: clamp(14px, calc(2.6 * var(--u)), 34px); line-height: 1.35; margin: calc(1.4 * var(--u)) 0 0; white-space: pre-line; }
.softh-bar { position: absolute; right: calc(1.6 * var(--u)); bottom: calc(1.2 * var(--u)); display: flex; gap: 6px; align-items: center;
  opacity: 0.6; transition: opacity 0.3s; font-size: 15px; }
.softh-deck.still .softh-bar:not(:hover, :focus-within) { opacity: 0; }
.softh-bar:hover, .softh-bar:focus-within { opacity: 1; }
.softh-bar button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 6px;
  min-width: 32px; height: 32px; cursor: pointer; }
@media (max-width: 640px) { .softh-deck .figures { flex-direction: column; } }
`

function deckElement(parent, name, className, text) {
  const element = document.createElement(name)
  if (className) element.className = className
  if (text) element.textContent = text
  parent.append(element)
  return element
}

// Draws a figure small and scales it up, so that text grows with the window.
async function deckFigure(box, figure, scale, Plotly, still, listed = false) {
  const { width: whole, height: room } = box.getBoundingClientRect()
  // On a wide sheet a plane would be stretched until its diagonal is none.
  const width = figure.layout.meta?.names ? Math.min(whole, 1.4 * room) : whole
  const height = Math.min(room, 1.2 * width) // on a tall screen the plane would be a narrow strip
  const inner = deckElement(box, "div")
  inner.style.width = width / scale + "px"
  inner.style.height = height / scale + "px"
  inner.style.transform = `scale(${scale})`
  inner.setAttribute("role", "img")
  inner.ariaLabel = figure.layout.meta?.alt ?? ""
  const layout = { ...figure.layout, width: width / scale, height: height / scale, autosize: false }
  if (listed) layout.showlegend = false
  await Plotly.newPlot(inner, { data: figure.data, layout, frames: figure.frames,
    config: { displaylogo: false, displayModeBar: false, staticPlot: still } })
  await placeNames(inner)
}

function deckSlide(parent, slide, inks) {
  const sheet = deckElement(parent, "section", "softh-slide")
  Object.assign(sheet.style, { background: inks.ground, color: inks.ink })
  deckElement(sheet, "h1", "", slide.title).tabIndex = -1
  const figures = deckElement(sheet, "div", "figures" + (slide.figures.length > 4 ? " many" : slide.figures.length > 3 ? " four" : ""))
  if (slide.problem) deckElement(figures, "p", "problem", slide.problem)
  const boxes = slide.figures.map(() => deckElement(figures, "div", "figure"))
  if (slide.note) deckElement(sheet, "p", "note", slide.note).style.color = inks.muted
  return { sheet, boxes }
}

// Figures of a slide whose lines an earlier one names already: one legend for all of them.
function listedBefore(figures) {
  const seen = new Set()
  return figures.map(figure => {
    const names = figure.layout.showlegend === false ? [] : figure.data.filter(trace => trace.name && trace.showlegend !== false).map(trace => trace.name)
    const known = names.length > 0 && names.every(name => seen.has(name))
    names.forEach(name => seen.add(name))
    return known
  })
}

async function printDeck(parent, deck, Plotly) {
  deckElement(document.head, "style", "", DECK_STYLE)
  const root = deckElement(parent, "div", "softh-sheets")
  for (const slide of deck.slides) {
    const { boxes } = deckSlide(root, slide, deck.inks)
    const listed = listedBefore(slide.figures)
    for (const [i, box] of boxes.entries()) {
      await deckFigure(box, slide.figures[i], boxes.length > 1 ? 1.25 : 1.6, Plotly, true, listed[i])
    }
  }
}

function presentDeck(parent, deck, Plotly, { start = 0, closed } = {}) {
  const style = deckElement(document.head, "style", "", DECK_STYLE)
  const root = deckElement(parent, "div", "softh-deck")
  const stage = deckElement(root, "div")
  root.setAttribute("role", "dialog")
  root.setAttribute("aria-modal", "true")
  root.ariaLabel = deck.name
  const bar = deckElement(root, "div", "softh-bar")
  bar.style.color = deck.inks.muted
  const button = (sign, label, act) => {
    const element = deckElement(bar, "button", "", sign)
    element.ariaLabel = element.title = label
    element.addEventListener("click", act)
  }
  let at = Math.min(Math.max(start, 0), deck.slides.length - 1)
  let round = 0
  const place = deckElement(bar, "span")
  async function show(to, focus = true) {
    at = Math.min(Math.max(to, 0), deck.slides.length - 1)
    const own = ++round
    stage.querySelectorAll(".js-plotly-plot").forEach(plot => Plotly.purge(plot))
    stage.replaceChildren()
    const slide = deck.slides[at]
    const { sheet, boxes } = deckSlide(stage, slide, deck.inks)
    place.textContent = `${at + 1} / ${deck.slides.length}`
    if (focus) sheet.querySelector("h1").focus()
    const room = boxes.length > 1 ? 1024 : 800
    const scale = Math.max(Math.min(window.innerWidth / room, (1.78 * window.innerHeight) / room), 0.8)
    const listed = listedBefore(slide.figures)
    for (const [i, box] of boxes.entries()) {
      if (own === round) await deckFigure(box, slide.figures[i], scale, Plotly, false, listed[i])
    }
    root.dataset.slide = at + 1
  }
  const keys = {
    ArrowRight: () => show(at + 1), ArrowDown: () => show(at + 1), PageDown: () => show(at + 1), " ": () => show(at + 1),
    ArrowLeft: () => show(at - 1), ArrowUp: () => show(at - 1), PageUp: () => show(at - 1),
    Home: () => show(0), End: () => show(deck.slides.length - 1), f: fullScreen, Escape: () => closed && close(),
  }
  function key(event) {
    if (event.target.closest?.("button") && event.key === " ") return
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    keys[event.key]()
  }
  let waiting
  const resized = () => { clearTimeout(waiting); waiting = setTimeout(() => show(at, false), 150) }
  function fullScreen() {
    document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.().catch(() => null)
  }
  function close(notify = true) {
    round++
    window.removeEventListener("keydown", key, true)
    window.removeEventListener("resize", resized)
    if (document.fullscreenElement) document.exitFullscreen()
    root.remove()
    style.remove()
    if (notify) closed?.(at)
  }
  button("‹", "Previous slide", () => show(at - 1))
  bar.append(place)
  button("›", "Next slide", () => show(at + 1))
  button("", "Full screen (F)", fullScreen)
  // Drawn, because the sign for it is missing from many fonts.
  bar.lastChild.innerHTML = "<svg width='14' height='14' viewBox='0 0 14 14' fill='none' stroke='currentColor' stroke-width='1.6'><path d='M1 5V1h4M9 1h4v4M13 9v4H9M5 13H1V9'/></svg>"
  let quiet
  const moved = () => {
    root.classList.remove("still")
    clearTimeout(quiet)
    quiet = setTimeout(() => root.classList.add("still"), 2000)
  }
  root.addEventListener("mousemove", moved)
  moved()
  if (closed) button("×", "Close (Escape)", () => close())
  window.addEventListener("keydown", key, true)
  window.addEventListener("resize", resized)
  return { shown: show(at), close }
}
