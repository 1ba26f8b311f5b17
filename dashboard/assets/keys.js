// What the mouse reaches in a figure, the keyboard does: left and right go along the points of a line, up and down from
// line to line, Enter chooses as a click does, Escape puts the card away. Each point is said to a screen reader.
function offerKeys(plot, choose) {
  const said = document.createElement("div")
  said.ariaLive = "polite"
  said.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
  plot.append(said)
  plot.tabIndex = 0
  plot.setAttribute("role", "application")
  plot.ariaLabel = "Points of the figure: arrow keys go from one to the next, Enter chooses one"
  let at = null
  const lines = () => plot._fullData.filter(trace => trace.visible === true && trace.type !== "heatmap" && trace.customdata?.length)
  plot.addEventListener("keydown", event => {
    if (event.target !== plot || event.ctrlKey || event.metaKey || event.altKey) return
    const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key], across = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const every = lines()
    if (!every.length || !(along || across || ["Enter", " ", "Escape"].includes(event.key))) return
    event.preventDefault()
    if (event.key === "Escape") return clear()
    let line = Math.max(every.findIndex(trace => trace.index === at?.curve), 0)
    if (!along && !across) return at && choose(at.custom)
    let point = at ? at.point + (along ?? 0) : 0
    if (at && across) line = (line + across + every.length) % every.length
    if (point < 0 || point >= every[line].customdata.length) {
      line = (line + along + every.length) % every.length
      point = along > 0 ? 0 : every[line].customdata.length - 1
    }
    const trace = every[line]
    point = Math.min(point, trace.customdata.length - 1)
    at = { curve: trace.index, point, custom: [trace.customdata[point]].flat().slice(0, 2) }
    window.Plotly.Fx.hover(plot, [{ curveNumber: trace.index, pointNumber: point }], (trace.xaxis ?? "x") + (trace.yaxis ?? "y"))
    said.textContent = String([trace.customdata[point]].flat().at(-1)).replace(/<[^>]*>/g, " ")
  })
  plot.addEventListener("blur", clear)
  function clear() {
    at = null
    said.textContent = ""
    window.Plotly.Fx.unhover(plot)
  }
}
