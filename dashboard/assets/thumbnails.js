// A small picture of every slide, in their order; a click chooses one, and dragging takes one to another's place. The list
// of words beside them, with its buttons, is for the keyboard.
const WIDE = 640, HIGH = 400

export default function ({ parentElement, data, setTriggerValue }) {
  const list = parentElement.querySelector("ol")
  list.softh = data
  const key = JSON.stringify(data.slides)
  if (list.softhKey !== key) {
    list.softhKey = key
    list.replaceChildren(...data.slides.map((slide, number) => entry(slide, number, () => setTriggerValue("chosen", number))))
    if (data.movable) movable([...list.children], (from, to) => setTriggerValue("moved", [from, to]))
    loadPlotly(data).then(Plotly => drawn(list, data, key, Plotly)).catch(() => null)
  }
  list.querySelectorAll("button").forEach((button, number) => { button.ariaCurrent = number === data.current })
  list.children[data.current]?.scrollIntoView({ block: "nearest", inline: "nearest" })
}

function entry({ title, figures }, number, act) {
  const [item, button, picture, words] = ["li", "button", "div", "span"].map(name => document.createElement(name))
  button.type = "button"
  picture.className = figures.length > 2 ? "picture many" : "picture"
  words.className = "title"
  words.textContent = `${number + 1}  ${title}`
  button.append(picture, words)
  button.onclick = act
  item.append(button)
  return item
}

function movable(items, act) {
  let from = null
  items.forEach((item, number) => {
    item.draggable = true
    item.ondragstart = event => { from = number; event.dataTransfer.effectAllowed = "move" }
    item.ondragend = () => { from = null }
    item.ondragover = event => {
      if (from === null || from === number) return
      event.preventDefault()
      item.className = from < number ? "below" : "above"
    }
    item.ondragleave = () => { item.className = "" }
    item.ondrop = event => {
      event.preventDefault()
      item.className = ""
      if (from !== null && from !== number) act(from, number)
    }
  })
}

// One after another: a long deck must not hold up what the reader does meanwhile.
async function drawn(list, { slides, ground }, key, Plotly) {
  for (const [number, { figures }] of slides.entries()) for (const figure of figures) {
    if (list.softhKey !== key) return
    const layout = { ...figure.layout, width: WIDE, height: HIGH, autosize: false, paper_bgcolor: ground }
    const image = new Image()
    image.alt = ""
    image.src = await Plotly.toImage({ data: figure.data, layout }, { format: "svg", width: WIDE, height: HIGH })
    list.children[number]?.querySelector(".picture").append(image)
  }
}
