// Runs before the page: Streamlit adds an entry to the history each time that a control writes itself into the address,
// so that Back would undo parameters one by one. An entry is a page: what stays on its path replaces.
{
  const push = history.pushState
  history.pushState = function (state, unused, address) {
    const same = !address || new URL(address, location.href).pathname === location.pathname
    return same ? this.replaceState(state, unused, address) : push.call(this, state, unused, address)
  }
}
