// Says which ranges the axes of a figure have after the reader zoomed, panned or double-clicked: what is done to the
// axes stays in the browser otherwise. A double click, which shows all again, comes as the ranges that the figure began
// with or as autorange.
export default function ({ setTriggerValue }) {
  const axes = plot => Object.keys(plot.layout).filter(name => /^[xy]axis\d*$/.test(name) && plot._fullLayout[name])
  const listen = plot => {
    if (plot.softh || !plot.on) return
    plot.softh = true
    plot.on("plotly_relayout", change => {
      if (!Object.keys(change).some(name => /axis\d*\.(range|autorange)/.test(name))) return
      const names = [...plot.closest("[class*='st-key-']").classList]
      const key = names.find(name => name.startsWith("st-key-")).slice("st-key-".length)
      const all = Object.keys(change).some(name => name.endsWith(".autorange"))
      const ranges = Object.fromEntries(axes(plot).map(name => [name, plot._fullLayout[name].range]))
      setTriggerValue("zoomed", { key, ranges: all ? {} : ranges })
    })
  }
  const timer = setInterval(() => document.querySelectorAll(".js-plotly-plot").forEach(listen), 300)
  return () => clearInterval(timer)
}
