// Opens the deck over the whole window, and says when it was closed and where.
const opened = new WeakMap()

export default function ({ parentElement, data, setTriggerValue }) {
  if (!opened.has(parentElement)) {
    opened.set(parentElement, null)
    const closed = at => setTriggerValue("closed", at)
    loadPlotly(data).then(Plotly => {
      if (opened.has(parentElement)) opened.set(parentElement, presentDeck(document.body, data.deck, Plotly, { start: data.start, closed }))
    })
  }
  return () => {
    opened.get(parentElement)?.close(false)
    opened.delete(parentElement)
  }
}
