// The paths of a figure grow while it plays: a button on the plane, a trail over the faded figure, phases named as they
// are reached, and a line that runs along the curves beside it. Nothing is asked of the server.
const SVG = "http://www.w3.org/2000/svg"

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  parent?.append(made)
  return made
}

function offerPlay(plot) {
  const play = plot.layout.meta?.play
  const old = plot.querySelector(".softh-play")
  if (!play) return old?.remove()
  if (old) return
  const bar = document.createElement("div")
  bar.className = "softh-play"
  bar.style.cssText = `position:absolute;top:0;left:0;z-index:5;display:flex;gap:.5rem;align-items:center;font:600 13px ${plot._fullLayout.font.family};color:${plot._fullLayout.font.color}`
  const button = document.createElement("button")
  button.type = "button"
  button.ariaLabel = "Play the training"
  button.textContent = "▶ Play"
  button.style.cssText = "font:inherit;color:inherit;background:none;border:1px solid currentColor;border-radius:.4rem;padding:.15rem .6rem;cursor:pointer"
  const words = document.createElement("span")
  words.ariaLive = "off"
  bar.append(button, words)
  plot.append(bar)
  button.onclick = event => {
    event.stopPropagation()
    plot.softhPlaying ? plot.softhPlaying() : run(plot, button, words)
  }
}

function run(plot, button, words) {
  const { play } = plot.layout.meta
  const curves = [...document.querySelectorAll(".js-plotly-plot")].find(each => each.layout.meta?.cursor === play.clock)
  const parts = [...plot.querySelectorAll(".cartesianlayer, .infolayer .annotation")]
  parts.forEach(part => { part.style.opacity = part.matches(".annotation") ? 0.25 : 0.22 })
  const svg = plot.querySelector(".main-svg")
  const group = element("g", { class: "softh-trail" }, svg)
  const cursor = curves && element("g", {}, curves.querySelector(".main-svg"))
  const began = performance.now(), lasts = 420 * play.times.length
  let frame = 0
  const stop = () => {
    cancelAnimationFrame(frame)
    group.remove()
    cursor?.remove()
    parts.forEach(part => { part.style.opacity = "" })
    plot.softhPlaying = null
    button.textContent = "▶ Play"
    words.textContent = ""
  }
  plot.softhPlaying = stop
  button.textContent = "■ Stop"
  const draw = now => {
    if (!plot.isConnected) return stop()
    const { xaxis, yaxis, font } = plot._fullLayout
    const point = (x, y) => [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)]
    const passed = Math.min((now - began) / lasts, 1) * (play.times.length - 1)
    const at = Math.floor(passed), share = passed - at
    const time = play.times[at] + share * ((play.times[at + 1] ?? play.times[at]) - play.times[at])
    group.replaceChildren()
    for (const walker of play.runs) {
      const done = walker.times.filter(moment => moment <= time).length
      if (!done) continue
      const path = walker.x.slice(0, done).map((x, i) => point(x, walker.y[i]))
      if (done < walker.x.length) {
        const part = (time - walker.times[done - 1]) / (walker.times[done] - walker.times[done - 1])
        path.push(point(...["x", "y"].map(axis => walker[axis][done - 1] + part * (walker[axis][done] - walker[axis][done - 1]))))
      }
      element("polyline", { points: path.map(pair => pair.join(",")).join(" "), fill: "none", stroke: walker.colour, "stroke-width": 4 }, group)
      const [left, top] = path.at(-1)
      element("circle", { cx: left, cy: top, r: 8, fill: walker.colour, stroke: font.color, "stroke-width": 2 }, group)
      for (const phase of walker.phases.filter(each => each.time <= time)) {
        const [x, y] = point(phase.x, phase.y)
        element("circle", { cx: x, cy: y, r: 10, fill: "none", stroke: font.color, "stroke-width": 2 }, group)
        if (play.runs.length > 3) continue
        const text = element("text", { x: x - 14, y: y - 8, "text-anchor": x > 160 ? "end" : "start", fill: font.color, "font-size": 12, "font-weight": 600 }, group)
        if (x <= 160) text.setAttribute("x", x + 16)
        text.textContent = phase.text
      }
    }
    words.textContent = play.words[at]
    if (cursor) {
      const axis = curves._fullLayout.xaxis, { t } = curves._fullLayout._size
      const left = axis._offset + axis.d2p(time)
      cursor.replaceChildren()
      element("line", { x1: left, x2: left, y1: t, y2: t + curves._fullLayout._size.h, stroke: font.color, "stroke-width": 1.5 }, cursor)
    }
    if (passed < play.times.length - 1) frame = requestAnimationFrame(draw)
    else setTimeout(stop, 1500)
  }
  frame = requestAnimationFrame(draw)
}
