// Files that the reader's own browser draws, from the figure as it stands there: no server needs a browser for them.
const ADDRESS = /^[xy]axis\d*$/

export default function ({ parentElement, data, setStateValue }) {
  const menu = parentElement.querySelector(".menu")
  const plot = () => document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`)
  menu.softh = data
  report()
  if (menu.childElementCount) return
  const add = (label, act) => {
    const button = menu.appendChild(document.createElement("button"))
    button.textContent = label
    button.addEventListener("click", () => run(button, act))
  }
  for (const format of data.formats) add(format.label, () => file(format))
  add("Link", link)
  add("Embed", embed)
  const status = menu.appendChild(document.createElement("output"))
  const watched = plot()
  watched?.on?.("plotly_relayout", report)
  watched?.on?.("plotly_restyle", report)
  return () => {
    watched?.removeListener?.("plotly_relayout", report)
    watched?.removeListener?.("plotly_restyle", report)
  }

  // Size, ranges and hidden lines as they are seen, for what the server draws.
  function report() {
    const shown = plot()
    if (!shown?._fullLayout) return
    const axes = Object.keys(shown._fullLayout).filter(name => ADDRESS.test(name))
    const seen = {
      width: shown._fullLayout.width,
      height: shown._fullLayout.height,
      ranges: Object.fromEntries(axes.map(name => [name, shown._fullLayout[name].range])),
      hidden: shown.data.flatMap((trace, i) => (trace.visible === "legendonly" ? [i] : [])),
    }
    if (JSON.stringify(seen) === menu.dataset.seen) return
    menu.dataset.seen = JSON.stringify(seen)
    setStateValue("seen", seen)
  }

  async function run(button, act) {
    button.ariaBusy = "true"
    status.textContent = ""
    try {
      status.textContent = (await act()) ?? ""
    } catch (error) {
      status.textContent = `This browser could not make the file: ${error.message ?? error}. Reload the page and try again.`
    }
    button.ariaBusy = "false"
  }

  // What a control has just written into the address may be newer than what the server has said.
  function address() {
    const whole = new URLSearchParams(menu.softh.link)
    const shown = new URLSearchParams(window.location.search)
    for (const key of new Set(shown.keys())) whole.delete(key)
    for (const [key, value] of shown) whole.append(key, value)
    return `${window.location.origin}${window.location.pathname}${whole.size ? "?" : ""}${whole}`
  }

  async function link() {
    const whole = address()
    try {
      await navigator.clipboard.writeText(whole)
      return "The link to this view is in the clipboard."
    } catch {
      const field = menu.querySelector("input") ?? menu.appendChild(document.createElement("input"))
      field.readOnly = true
      field.ariaLabel = "Link to this view"
      field.value = whole
      field.select()
      return "Copy the link below: this browser lets no page write to the clipboard."
    }
  }

  // The whole view as this server shows it, where the server lets other sites frame it; and the figure as a file.
  async function embed() {
    const { name, frames } = menu.softh
    const title = plot()?.layout.meta?.alt ?? name
    const sign = text => text.replace(/[&<>"]/g, one => `&#${one.charCodeAt(0)};`)
    const iframe = (src, height) =>
      `<iframe src="${sign(src)}" title="${sign(title)}" width="100%" height="${height}" style="border:0" loading="lazy"></iframe>`
    const live = address()
    const codes = {
      ...(frames ? { "This view, live": iframe(`${live}${live.includes("?") ? "&" : "?"}embed=true`, 900) } : {}),
      [`This figure: save it as HTML beside your page, as ${name}.html`]: iframe(`${name}.html`, Math.round(plot()?._fullLayout?.height ?? 560)),
    }
    menu.querySelectorAll("label").forEach(each => each.remove())
    for (const [told, code] of Object.entries(codes)) {
      const label = menu.appendChild(document.createElement("label"))
      label.textContent = told
      const field = label.appendChild(document.createElement("textarea"))
      Object.assign(field, { readOnly: true, rows: 3, spellcheck: false, value: code })
      field.addEventListener("focus", () => field.select())
    }
    menu.append(status)
    return frames ? "" : "The view itself can be embedded once this server's administrator names your site in SOFTH_FRAMES."
  }

  // A format is vector graphics (SVG) or a picture of so many pixels for each of the screen.
  async function file(format) {
    const { inches, scale, name } = menu.softh
    const shown = plot()
    const seen = shown._fullLayout
    const width = inches ? (inches[0] * 96) / scale : seen.width
    const height = inches ? (inches[1] * 96) / scale : seen.height
    const drawing = await vector(shown, width, height)
    if (format.suffix === "svg") {
      const sized = inches ? [`${inches[0]}in`, `${inches[1]}in`] : [width, height]
      return save(new Blob([written(drawing, sized)], { type: format.mime }), `${name}.svg`)
    }
    const pixels = [width, height].map(side => Math.round(side * scale * format.scale))
    return save(await picture(written(drawing, pixels), pixels, format.mime), `${name}@${format.scale}x.${format.suffix}`)
  }

  async function vector(shown, width, height) {
    const { base, font, ground } = menu.softh
    const Plotly = await loadPlotly(menu.softh)
    const layout = { ...shown.layout, width, height, autosize: false, paper_bgcolor: ground }
    if (layout.meta?.legend === "elsewhere") layout.showlegend = true // the file stands alone
    delete layout.updatemenus
    delete layout.sliders
    const url = await Plotly.toImage({ data: shown.data, layout }, { format: "svg", width, height })
    const drawing = new DOMParser().parseFromString(decodeURIComponent(url.slice(url.indexOf(",") + 1)), "image/svg+xml")
    const root = drawing.documentElement
    root.setAttribute("viewBox", `0 0 ${width} ${height}`)
    const add = (tag, text) => {
      const element = drawing.createElementNS("http://www.w3.org/2000/svg", tag)
      element.textContent = text
      root.prepend(element)
    }
    if (font) add("style", await face(base + font))
    add("desc", shown.layout.meta?.alt ?? "")
    return drawing
  }

  function written(drawing, [width, height]) {
    drawing.documentElement.setAttribute("width", width)
    drawing.documentElement.setAttribute("height", height)
    return new XMLSerializer().serializeToString(drawing)
  }

  async function picture(svg, [width, height], mime) {
    const image = new Image()
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`
    await image.decode()
    const canvas = document.createElement("canvas")
    Object.assign(canvas, { width, height })
    canvas.getContext("2d").drawImage(image, 0, 0, width, height)
    const blob = await new Promise(done => canvas.toBlob(done, mime))
    if (!blob) throw new Error(`it cannot hold a picture of ${width} × ${height} pixels`)
    return blob
  }

  function save(blob, name) {
    const anchor = document.createElement("a")
    anchor.href = URL.createObjectURL(blob)
    anchor.download = name
    anchor.click()
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000)
  }
}

async function face(address) {
  const answer = await fetch(address)
  if (!answer.ok) return ""
  const bytes = new Uint8Array(await answer.arrayBuffer())
  let text = ""
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return `@font-face{font-family:"Source Sans";font-weight:200 900;src:url("data:font/woff2;base64,${btoa(text)}") format("woff2")}`
}
