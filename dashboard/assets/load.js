// Plotly: the one that drew the figures of this page, else as the installed package ships it, from this server.
async function loadPlotly({ base, plotly }) {
  if (!window.Plotly) await loadScript(base + plotly)
  return window.Plotly
}

function loadScript(address) {
  return new Promise((done, failed) => {
    const element = document.createElement("script")
    element.src = address
    element.onload = done
    element.onerror = () => failed(new Error(`${address} does not load`))
    document.head.append(element)
  })
}
