/** The shortcuts of the page. */

import { $ } from "./dom.js";

const WRITES = "input, textarea";

/** Do what a pressed key means; `actions` are those of the page. */
export function listen(actions) {
  const { search, begin, toggleList } = actions;
  const withMain = { k: search, "shift+o": begin, "shift+s": toggleList };
  window.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented || event.target.closest("dialog")) return;
    const shift = event.shiftKey ? "shift+" : "";
    const main = (event.ctrlKey || event.metaKey) && !event.altKey;
    const writes = event.target.matches(WRITES);
    let action = main && withMain[shift + event.key.toLowerCase()];
    if (event.key === "?" && !writes) action = actions.help;
    if (event.key === "Escape") action = event.shiftKey ? () => $("message").focus() : actions.escape;
    if (event.key === "ArrowUp" && event.target === $("message") && !event.target.value) {
      action = actions.edit;
    }
    if (!action) return;
    event.preventDefault();
    action();
  });
}
