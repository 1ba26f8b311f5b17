// Shown until the reader has understood it, which this browser remembers; `always` shows it without the button.
export default function ({ parentElement, data }) {
  const section = parentElement.querySelector(".intro")
  const button = section.querySelector("button")
  const always = Boolean(data && data.always)
  let seen = false
  try { seen = localStorage.getItem("softh-intro") === "seen" } catch { seen = false }
  section.hidden = seen && !always
  button.hidden = always
  button.onclick = () => {
    section.hidden = true
    try { localStorage.setItem("softh-intro", "seen") } catch { /* a browser without storage asks again */ }
  }
}
