/** DOM helpers shared by every part of the page. */

import { Failure } from "./api.js";

/** Return the element of index.html with this id. */
export const $ = (id) => document.getElementById(id);

/** Return a new element: functions become listeners, and strings become text, never markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Return a button with a picture from the style sheet, and an accessible name. */
export function iconButton(picture, name, click) {
  const looks = { type: "button", class: `icon ${picture}`, "aria-label": name, title: name };
  return element("button", { ...looks, click });
}

/** Return a sentence about what went wrong, with a button that fixes it. */
export const trouble = (sentence, label, action) =>
  element(
    "div",
    { class: "trouble" },
    element("p", { role: "alert" }, sentence),
    element("button", { type: "button", class: "plain", click: action }, label),
  );

/** Run an action; if it fails, say so in `place`, and offer a retry. */
export async function attempt(place, action) {
  place.replaceChildren();
  try {
    await action();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    place.replaceChildren(trouble(failure.message, "Retry", () => attempt(place, action)));
  }
}

/** Announce something to screen readers. */
export function announce(text) {
  $("live").textContent = text;
}

/**
 * Ask a question in a dialog; return the answer, or null if it was cancelled.
 * With `value` the answer is a text, which starts as `value`.
 */
export function ask(question, { detail = "", action, value = null, style = "" }) {
  const [dialog, input] = [$("question"), $("question-value")];
  const [no, yes] = [$("question-no"), $("question-yes")];
  $("question-title").textContent = question;
  $("question-detail").textContent = detail;
  yes.textContent = action;
  yes.className = style;
  input.hidden = input.disabled = value === null;
  input.value = value;
  no.onclick = () => dialog.close();
  dialog.returnValue = "";
  dialog.showModal();
  (value === null ? no : input).focus();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      if (dialog.open) return; // the previous question was only just closed
      resolve(dialog.returnValue ? input.value.trim() || "yes" : null);
    };
  });
}
