// Draws every figure of a page in the theme of the reader, and fills in what it takes to show a figure elsewhere.
(() => {
  const root = document.documentElement
  const asked = new URLSearchParams(location.search).get("theme")
  let kept = null
  try { kept = localStorage.getItem("softh-theme") } catch { /* a page that may keep nothing has the system's theme */ }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"
  root.dataset.theme = ["light", "dark"].find(name => name === asked) ?? ["light", "dark"].find(name => name === kept) ?? system

  const run = source => document.head.append(Object.assign(document.createElement("script"), { text: source }))
  const NARROW = 560

  const small = layout => {
    const axes = Object.fromEntries(Object.keys(layout).filter(name => /^[xy]axis\d*$/.test(name))
      .map(name => [name, { ...layout[name], title: { text: "" }, showticklabels: false, ticks: "", automargin: false }]))
    return { ...layout, ...axes, annotations: [], showlegend: false, margin: { l: 6, r: 6, t: 6, b: 6 }, meta: {}, title: { text: "" }, updatemenus: [], sliders: [] }
  }

  const draw = async div => {
    const { data, layout } = softhFigures[div.dataset.figure][root.dataset.theme]
    const thumb = div.classList.contains("thumb"), narrow = div.clientWidth < NARROW
    const traces = thumb ? structuredClone(data).map(trace => {
      if (trace.showscale !== false && trace.type === "heatmap") trace.showscale = false
      if (trace.marker?.showscale) trace.marker.showscale = false
      if (/text/.test(trace.mode ?? "")) trace.mode = trace.mode.replace(/\+?text\+?/, "") || "none"
      return trace
    }) : structuredClone(data)
    const shown = { ...structuredClone(layout), autosize: true, width: undefined, height: undefined }
    // A finger that moves over a figure scrolls the page.
    if (narrow) shown.dragmode = false
    const config = { displaylogo: false, responsive: true, showSendToCloud: false, staticPlot: thumb, modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"] }
    await Plotly.react(div, traces, thumb ? small(shown) : shown, config)
    div.softhNamed = null
    if (thumb) return
    await placeNames(div)
    div.querySelector(".softh-play")?.remove()
    offerPlay(div)
  }

  const self = name => {
    const { title, ...themes } = softhFigures[name]
    const figure = themes[root.dataset.theme]
    const parts = {
      title: title.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`), ground: softhLibrary.grounds[root.dataset.theme],
      font: softhLibrary.font, face: softhLibrary.face, plotly: softhLibrary.plotly, names: softhLibrary.names,
      drawing: JSON.stringify({ figure }).replace(/</g, "\\u003c"),
    }
    return softhLibrary.file.replace(/\$(title|ground|font|face|plotly|names|drawing)\b/g, (_, part) => parts[part])
  }

  const save = name => {
    const url = URL.createObjectURL(new Blob([self(name)], { type: "text/html" }))
    Object.assign(document.createElement("a"), { href: url, download: `${name}.html` }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10000)
  }

  const code = area => {
    const attribute = value => value.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)
    const served = /^https?:$/.test(location.protocol)
    const src = served ? new URL(area.dataset.src, location.href).href : `https://YOUR-SERVER/${area.dataset.src}`
    return `<iframe src="${attribute(src)}" title="${attribute(area.dataset.title)}" width="100%" height="${area.dataset.height}" style="border:0" loading="lazy"></iframe>`
  }

  window.softhStart = () => {
    document.head.append(Object.assign(document.createElement("style"), { textContent: softhLibrary.face }))
    run(softhLibrary.plotly)
    run(softhLibrary.names)
    run(softhLibrary.play)
    const plots = [...document.querySelectorAll(".plot")]
    const all = () => plots.reduce((before, div) => before.then(() => draw(div)), Promise.resolve())
    const button = document.querySelector("button.theme")
    const told = () => { if (button) button.textContent = root.dataset.theme === "dark" ? "Light theme" : "Dark theme" }
    told()
    button?.addEventListener("click", () => {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"
      try { localStorage.setItem("softh-theme", root.dataset.theme) } catch { /* as above */ }
      told()
      all()
    })
    for (const each of document.querySelectorAll("button.save")) each.addEventListener("click", () => save(each.dataset.figure))
    for (const area of document.querySelectorAll("textarea")) area.value = code(area)
    for (const each of document.querySelectorAll("button.copy")) each.addEventListener("click", async () => {
      const area = each.parentElement.querySelector("textarea")
      area.select()
      try { await navigator.clipboard.writeText(area.value) } catch { document.execCommand("copy") }
      each.textContent = "Copied"
    })
    const fonts = ['14px "Source Sans"', 'bold 14px "Source Sans"'].map(font => document.fonts.load(font))
    window.drawn = Promise.all(fonts).catch(() => null).then(all)
    addEventListener("resize", () => setTimeout(() => plots.forEach(div => div.classList.contains("thumb") || placeNames(div)), 300))
  }
})()
