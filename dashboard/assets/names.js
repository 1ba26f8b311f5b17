// Names beside points, placed again for the pixels that a figure has here: the server knows neither the window nor the
// zoom. Earlier names have priority; one without room is left out, unless it is needed, which then gets a line.
const NAME = { gap: 9, line: 15, point: 6, path: 2, step: 8 }
const pen = document.createElement("canvas").getContext("2d")

function placeNames(plot) {
  const names = plot.layout.meta?.names
  const { xaxis, yaxis, font } = plot._fullLayout
  if (!names?.length || !xaxis || !yaxis || plot.softhPlaying) return
  const key = JSON.stringify([names, Math.round(xaxis._length), Math.round(yaxis._length), xaxis.range, yaxis.range])
  if (plot.softhNamed === key) return
  plot.softhNamed = key
  const taken = []
  for (const trace of plot._fullData) if (trace.visible === true && /markers/.test(trace.mode) && (trace.customdata || trace.hovertext)) {
    trace.x.forEach((x, i) => {
      const [left, top] = [xaxis.d2p(x), yaxis.d2p(trace.y[i])]
      taken.push([left - NAME.point, top - NAME.point, left + NAME.point, top + NAME.point])
    })
  }
  // The lines of paths, which the veil of a name would cut.
  for (const trace of plot._fullData) if (trace.visible === true && trace.mode === "lines" && trace.legendgroup && (trace.fill ?? "none") === "none") {
    for (let i = 1; i < trace.x.length; i++) {
      const [x0, y0, x1, y1] = [xaxis.d2p(trace.x[i - 1]), yaxis.d2p(trace.y[i - 1]), xaxis.d2p(trace.x[i]), yaxis.d2p(trace.y[i])]
      const parts = Math.ceil(Math.hypot(x1 - x0, y1 - y0) / NAME.step)
      for (let part = 1; part < parts; part++) {
        const [x, y] = [x0 + (x1 - x0) * part / parts, y0 + (y1 - y0) * part / parts]
        taken.push([x - NAME.path, y - NAME.path, x + NAME.path, y + NAME.path])
      }
    }
  }
  // What stands beside the axes already, such as the names of rays.
  for (const each of plot.layout.annotations ?? []) {
    if (each.showarrow !== false || each.xref || names.some(name => name.text === each.text && name.x === each.x)) continue
    const lines = each.text.split("<br>").map(line => line.replace(/<[^>]*>/g, ""))
    pen.font = `${each.font?.size ?? font.size}px ${font.family}`
    const [wide, high] = [Math.max(...lines.map(line => pen.measureText(line).width)), lines.length * NAME.line]
    const left = xaxis.l2p(each.x) + (each.xshift ?? 0) - wide * ({ left: 0, right: 1 }[each.xanchor] ?? 0.5)
    const top = yaxis.l2p(each.y) - high * ({ top: 0, bottom: 1 }[each.yanchor] ?? 0.5)
    taken.push([left, top, left + wide, top + high])
  }
  // Not over the numbers of the vertical axis; to the right there is a margin.
  const edge = xaxis._length + Math.min(50, plot._fullLayout._size.r)
  const inside = box => box[0] >= 0 && box[1] >= 0 && box[2] <= edge && box[3] <= yaxis._length
  const free = (box, x, y) => inside(box)
    && !taken.some(other => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]
      && !(other[0] < x && x < other[2] && other[1] < y && y < other[3]))
  const placed = []
  for (const { needed, ...name } of names) {
    const [x, y] = [xaxis.l2p(name.x), yaxis.l2p(name.y)]
    if (!(x >= 0 && x <= xaxis._length && y >= 0 && y <= yaxis._length)) continue
    pen.font = `${name.text.startsWith("<b>") ? "bold " : ""}${name.font.size}px ${font.family}`
    const wide = pen.measureText(name.text.replace(/<[^>]*>/g, "")).width + 4
    const at = (left, middle) => [left, middle - NAME.line / 2, left + wide, middle + NAME.line / 2]
    const ways = [
      [at(x + NAME.gap, y), { xanchor: "left", xshift: NAME.gap }],
      [at(x - NAME.gap - wide, y), { xanchor: "right", xshift: -NAME.gap }],
      [at(x - wide / 2, y - NAME.gap - NAME.line / 2), { yanchor: "bottom", yshift: NAME.gap - 3 }],
      [at(x - wide / 2, y + NAME.gap + NAME.line / 2), { yanchor: "top", yshift: 3 - NAME.gap }],
    ]
    if (needed) for (let step = 1; step < 12; step++) for (const lift of [step, -step]) for (const right of [x < xaxis._length / 2, x >= xaxis._length / 2]) {
      const line = { showarrow: true, arrowhead: 0, arrowwidth: 0.8, standoff: 5, ax: right ? 14 : -14, ay: -lift * NAME.line, xanchor: right ? "left" : "right" }
      ways.push([at(right ? x + 14 : x - 14 - wide, y - lift * NAME.line), line])
    }
    // A long name in a narrow figure has room on neither side: above or below, as far in as it must be.
    const left = Math.max(Math.min(x - wide / 2, edge - wide), 0)
    if (needed) for (let step = 1; step < 12; step++) for (const lift of [step, -step]) {
      const line = { showarrow: true, arrowhead: 0, arrowwidth: 0.8, standoff: 5, ax: left + wide / 2 - x, ay: -lift * NAME.line, xanchor: "center" }
      ways.push([at(left, y - lift * NAME.line), line])
    }
    const way = ways.find(([box]) => free(box, x, y)) ?? (needed ? ways.find(([box]) => inside(box)) ?? ways[0] : null)
    if (!way) continue
    taken.push(way[0])
    placed.push({ ...name, ...way[1] })
  }
  const same = each => names.some(name => name.text === each.text && name.x === each.x && name.y === each.y)
  const others = (plot.layout.annotations ?? []).filter(each => !same(each))
  return window.Plotly.relayout(plot, { annotations: [...others, ...placed] })
}
