/** DOM helpers shared by every part of the page. */

import { Failure, SessionEnded } from "./api.js";
import { t } from "./words.js";

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
    place.replaceChildren(explain(failure, t("retry"), () => attempt(place, action)));
  }
}

/** Return what says why something failed, and offers what helps: signing in, or to try again. */
export function explain(failure, label, action) {
  if (!(failure instanceof SessionEnded)) return trouble(failure.message, label, action);
  // What leads to the sign-in is whatever stands before this app: it leads back here afterwards.
  return trouble(failure.message, t("sign_in"), () => location.reload());
}

/** Let the user save a text as a file. */
export function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Copy a text, and say so on the button for a moment. */
export async function copyText(button, text) {
  const label = button.textContent;
  const works = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  const said = t(works ? "copied" : "not_allowed");
  if (label) button.textContent = said;
  button.classList.toggle("done", Boolean(works));
  announce(said);
  setTimeout(() => {
    if (label) button.textContent = label;
    button.classList.remove("done");
  }, 1500);
}

/** Announce something to screen readers. */
export function announce(text) {
  $("live").textContent = text;
}

/**
 * Ask a question in a dialog; return the answer, or null if it was cancelled.
 * With `value` the answer is a text, which starts as `value` and has at most `most` characters.
 */
export function ask(question, { detail = "", action, value = null, most = 80, style = "" }) {
  const [dialog, input] = [$("question"), $("question-value")];
  const [no, yes] = [$("question-no"), $("question-yes")];
  $("question-title").textContent = question;
  $("question-detail").textContent = detail;
  yes.textContent = action;
  yes.className = style;
  input.hidden = input.disabled = value === null;
  input.value = value;
  input.maxLength = most;
  input.required = most === 80; // a title; a comment may be empty
  no.onclick = () => dialog.close();
  dialog.returnValue = "";
  dialog.showModal();
  (value === null ? no : input).focus();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      if (dialog.open) return; // the previous question was only just closed
      resolve(dialog.returnValue ? (value === null ? "yes" : input.value.trim()) : null);
    };
  });
}
