// Says when the theme changes: Streamlit recolours its own widgets in the browser, but runs no page again for it.
export default function ({ parentElement, setTriggerValue }) {
  const host = parentElement.host ?? parentElement
  const background = () => getComputedStyle(host).getPropertyValue("--st-background-color").trim()
  let seen = background()
  const timer = setInterval(() => {
    const now = background()
    if (now && now !== seen) setTriggerValue("changed", (seen = now))
  }, 300)
  return () => clearInterval(timer)
}
