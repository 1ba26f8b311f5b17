// Runs before the page: Streamlit adds an entry to the history each time that a control writes itself into the address,
// so that Back would undo parameters one by one. An entry is a page: what stays on its path replaces. Between a click on
// a link to another page and the new address, Streamlit takes the parameters of the old page out of its address, which
// the old entry has to keep.
{
  const push = history.pushState
  let leaving = 0
  document.addEventListener("click", event => {
    const link = event.target.closest?.("a[href]")
    if (!link || link.origin !== location.origin || link.target === "_blank") return
    if (link.pathname !== location.pathname) leaving = Date.now() + 5000
    // A link to another view of the same page: Streamlit shows it and leaves the address as it was.
    else if (link.search && link.search !== location.search) push.call(history, {}, "", link.href)
  }, true)
  history.pushState = function (state, unused, address) {
    const same = !address || new URL(address, location.href).pathname === location.pathname
    if (same && Date.now() < leaving) return
    if (same) return this.replaceState(state, unused, address)
    leaving = 0
    return push.call(this, state, unused, address)
  }
}
