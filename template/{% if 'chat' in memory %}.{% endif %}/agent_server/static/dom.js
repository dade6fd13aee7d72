/** Small things every part of the page does with the document. */

/** Return the element with this id, which index.html has. */
export const $ = (id) => document.getElementById(id);

/** Return a new element: functions become listeners, and children that are texts stay texts. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Return a sentence about what is wrong, with a button that does what mends it. */
export function trouble(sentence, label, action) {
  const button = element("button", { type: "button", class: "plain", click: action }, label);
  return element("div", { class: "trouble" }, element("p", { role: "alert" }, sentence), button);
}

/** Say something to who listens with a screen reader. */
export function announce(text) {
  $("live").textContent = text;
}

/** Copy `text`, and say on `button` whether that worked. */
export async function copy(text, button) {
  const label = button.textContent;
  button.textContent = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
  setTimeout(() => (button.textContent = label), 1500);
}

/**
 * Ask a question in a dialog; return the answer, or null when it was cancelled.
 * With `value` the answer is a text that the user may change.
 */
export function ask(question, { detail = "", action, value = null, danger = false }) {
  const [dialog, input] = [$("question"), $("question-value")];
  $("question-title").textContent = question;
  $("question-detail").textContent = detail;
  $("question-yes").textContent = action;
  $("question-yes").className = danger ? "danger" : "";
  input.hidden = input.disabled = value === null;
  input.value = value ?? "";
  $("question-no").onclick = () => dialog.close();
  dialog.returnValue = "";
  dialog.showModal();
  (value === null ? $("question-no") : input).focus();
  input.select();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? input.value.trim() || "yes" : null);
  });
}
