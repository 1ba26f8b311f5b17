// All figures of a page together: the ranges of their axes go to the server, a double click shows all again, a run that
// the legend hides is hidden everywhere, the point under the mouse is ringed wherever it is drawn while other runs fade,
// and the keyboard reaches every point (keys.js).
export default function ({ setTriggerValue }) {
  // A figure that is presented is drawn beside the page, in the size of its slide, and answers to nothing.
  const plots = () => [...document.querySelectorAll("[class*='st-key-'] .js-plotly-plot")].filter(plot => !plot.closest(".softh-deck"))
  const axes = plot => Object.keys(plot._fullLayout).filter(name => /^[xy]axis\d*$/.test(name))
  const keyOf = plot => [...plot.closest("[class*='st-key-']").classList]
    .find(name => name.startsWith("st-key-")).slice("st-key-".length)

  // What Plotly goes back to is how the figure was drawn first, which a zoomed link makes the zoomed ranges; without
  // ranges it would make room for the guide lines, which are longer than any axis.
  const setHome = plot => {
    const home = plot.layout.meta?.home ?? {}
    for (const name of axes(plot)) [plot._fullLayout[name]._rangeInitial0, plot._fullLayout[name]._rangeInitial1] = home[name] ?? []
  }

  const report = (plot, change) => {
    if (!Object.keys(change).some(name => /axis\d*\.(range|autorange)/.test(name))) return
    const all = Object.keys(change).some(name => name.endsWith(".autorange"))
    const ranges = Object.fromEntries(axes(plot).map(name => [name, plot._fullLayout[name].range]))
    setTriggerValue("zoomed", { key: keyOf(plot), ranges: all ? {} : ranges })
  }

  // An entry of the legend stands for all of its group: traces, bands and words of other figures carry the same name.
  const hideEverywhere = (from, update, indices) => {
    if (!("visible" in update)) return
    const wanted = new Map(indices.map((index, place) =>
      [from.data[index].legendgroup, Array.isArray(update.visible) ? update.visible[place % update.visible.length] : update.visible]))
    for (const plot of plots()) {
      const shown = new Map()
      plot.data.forEach((trace, index) => {
        if (!trace.legendgroup || !wanted.has(trace.legendgroup)) return
        const visible = wanted.get(trace.legendgroup)
        if ((trace.visible ?? true) !== visible) shown.set(visible, [...(shown.get(visible) ?? []), index])
      })
      for (const [visible, traces] of shown) window.Plotly.restyle(plot, { visible }, traces)
      const layout = {}
      for (const part of ["shapes", "annotations"]) (plot.layout[part] ?? []).forEach((each, index) => {
        if (wanted.has(each.name)) layout[`${part}[${index}].visible`] = wanted.get(each.name) === true
      })
      if (Object.keys(layout).length) window.Plotly.relayout(plot, layout)
    }
  }

  // Some figures have the id of an estimate with each point, others only what a hover says.
  const idOf = custom => Array.isArray(custom) ? custom[0] : undefined

  const ring = (plot, id) => {
    plot.querySelector("g.softh-ring")?.remove()
    if (!id) return
    const group = document.createElementNS("http://www.w3.org/2000/svg", "g")
    group.setAttribute("class", "softh-ring")
    for (const trace of plot._fullData) {
      const at = trace.visible === true ? (trace.customdata ?? []).findIndex(point => idOf(point) === id) : -1
      if (at < 0) continue
      const [x, y] = [trace.xaxis, trace.yaxis].map(name => plot._fullLayout[name.replace(/^([xy])/, "$1axis")])
      const [left, top] = [x._offset + x.d2p(trace.x[at]), y._offset + y.d2p(trace.y[at])]
      if (!(left >= x._offset && left <= x._offset + x._length && top >= y._offset && top <= y._offset + y._length)) continue
      const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle")
      const drawn = { cx: left, cy: top, r: 9, fill: "none", stroke: plot._fullLayout.font.color, "stroke-width": 2 }
      for (const [name, value] of Object.entries(drawn)) circle.setAttribute(name, value)
      group.append(circle)
    }
    plot.querySelector(".main-svg").append(group)
  }

  // Runs are what has a line and points to hover: nothing fades among points alone, such as those of Frontier, nor in a
  // figure without the run.
  const fadeOthers = run => {
    for (const plot of plots()) {
      const groups = test => new Set(plot._fullData.filter(test).map(trace => trace.legendgroup))
      const lines = groups(trace => /lines/.test(trace.mode))
      const runs = groups(trace => trace.legendgroup && trace.customdata?.length && lines.has(trace.legendgroup))
      for (const trace of plot._fullData) {
        const other = runs.has(run) && runs.has(trace.legendgroup) && trace.legendgroup !== run
        const drawn = plot.querySelector(`.trace${trace.uid}`)
        if (drawn) drawn.style.opacity = (trace.opacity ?? 1) * (other ? 0.25 : 1)
      }
    }
  }

  const listen = plot => {
    if (plot.softh || !plot.on) return
    plot.softh = true
    const drawn = () => { setHome(plot); placeNames(plot); offerPlay(plot) }
    drawn()
    plot.on("plotly_afterplot", drawn)
    plot.on("plotly_relayout", change => report(plot, change))
    plot.on("plotly_restyle", ([update, indices]) => hideEverywhere(plot, update, indices))
    plot.on("plotly_hover", ({ points }) => {
      plots().forEach(each => each !== plot && ring(each, idOf(points[0].customdata)))
      fadeOthers(points[0].fullData.legendgroup)
    })
    plot.on("plotly_unhover", () => { plots().forEach(each => ring(each)); fadeOthers() })
    offerKeys(plot, custom => setTriggerValue("picked", { key: keyOf(plot), custom }))
  }
  const timer = setInterval(() => plots().forEach(listen), 300)
  return () => clearInterval(timer)
}
