/** What this browser keeps for the user: texts that were not sent, and what was seen. */

/** Return what is kept under a name, or null. */
export function kept(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null; // the browser stores no data for this site, or something else's
  }
}

/** Keep a value under a name; nothing is kept of an empty one. */
export function keep(name, value) {
  try {
    if (value) localStorage.setItem(name, JSON.stringify(value));
    else localStorage.removeItem(name);
  } catch {
    // There is no room, or no permission: it lasts as long as the page.
  }
}

/** Forget all but the look of the page. */
export function forget() {
  for (const name of Object.keys(localStorage)) {
    if (/^(draft|unsent|seen)/.test(name)) localStorage.removeItem(name);
  }
}
