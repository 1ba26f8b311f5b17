// Draws the figures of a page in the colours of its theme, and again when the reader changes it.
(() => {
  const chosen = () => document.body.dataset.theme
  const dark = () => chosen() === "dark" || (chosen() !== "light" && matchMedia("(prefers-color-scheme: dark)").matches)

  const draw = () => {
    for (const place of document.querySelectorAll(".drawn")) {
      const figures = JSON.parse(place.querySelector("script").textContent)
      const { data, layout } = figures[dark() ? figures.length - 1 : 0]
      const fitted = { ...layout, autosize: true, width: undefined }
      Plotly.react(place.lastElementChild, data, fitted, { responsive: true, displaylogo: false })
    }
  }

  if (window.softhFigures) return // loaded once, though each figure asks for it
  window.softhFigures = true
  draw()
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] })
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw)
})()
