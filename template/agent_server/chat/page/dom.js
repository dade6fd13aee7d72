/** Small things that every part of the page does with the document. */

import { Failure } from "./api.js";

/** Return the element with this id, which index.html has. */
export const $ = (id) => document.getElementById(id);

/** Return a new element: functions become listeners, and children that are texts stay texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Return a button with a picture, which the style sheet has, and a name for it. */
export function iconButton(picture, name, click) {
  const looks = { type: "button", class: `icon ${picture}`, "aria-label": name, title: name };
  return element("button", { ...looks, click });
}

/** Return a sentence about what went wrong, with a button that does what mends it. */
export const trouble = (sentence, label, action) =>
  element(
    "div",
    { class: "trouble" },
    element("p", { role: "alert" }, sentence),
    element("button", { type: "button", class: "plain", click: action }, label),
  );

/** Do what may fail; when it does, say so in `place`, and offer to try again. */
export async function attempt(place, action) {
  place.replaceChildren();
  try {
    await action();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    place.replaceChildren(trouble(failure.message, "Retry", () => attempt(place, action)));
  }
}

/** Say something to who listens with a screen reader. */
export function announce(text) {
  $("live").textContent = text;
}

/**
 * Ask a question in a dialog; return the answer, or null when it was cancelled.
 * With `value` the answer is a text, which begins as that.
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
      if (dialog.open) return; // the question before this one was closed a moment ago
      resolve(dialog.returnValue ? input.value.trim() || "yes" : null);
    };
  });
}
