// Says what is typed once the typing rests, and shows what was found; a click chooses a model.
const REST = 350

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const [input, list, said] = ["input", "ul", "output"].map(name => parentElement.querySelector(name))
  let waiting
  input.oninput = () => {
    clearTimeout(waiting)
    const typed = input.value.trim()
    waiting = setTimeout(() => setStateValue("typed", typed), REST)
  }
  said.textContent = data.said
  list.replaceChildren(...(input.value.trim().length < data.fewest ? [] : data.found).map(name => {
    const [item, button] = ["li", "button"].map(tag => document.createElement(tag))
    button.type = "button"
    button.textContent = name
    button.onclick = () => setTriggerValue("chosen", name)
    item.append(button)
    return item
  }))
  return () => clearTimeout(waiting)
}
