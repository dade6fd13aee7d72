/** The bars of buttons below messages. */

import { element } from "./dom.js";
import { rove } from "./roving.js";

/** Return the last message of the answer to a question, if there is one. */
export function answerOf(question) {
  let answer = null;
  for (let row = question.nextSibling; row && !row.matches(".user"); row = row.nextSibling) {
    if (row.matches(".assistant")) answer = row;
  }
  return answer;
}

/** Put buttons below a message, in place of those that are there. */
export function setBar(message, name, buttons) {
  message.querySelector(":scope > .actions")?.remove();
  if (!buttons.length) return;
  const bar = element("div", { class: "actions", role: "toolbar", "aria-label": name }, ...buttons);
  rove(bar);
  message.append(bar);
}
