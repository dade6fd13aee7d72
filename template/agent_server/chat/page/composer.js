/** The message box: what is written in it is kept until it is sent. */

import { $ } from "./dom.js";
import { keep, kept } from "./storage.js";

const [box, scroller] = [$("message"), $("scroller")];
let draft = "draft new"; // the name under which the text is kept
let allowed = false;
let send = () => {};

/** Call `listener` with the text that the user wants to send. */
export const onSend = (listener) => (send = listener);

const nameOf = (id) => `draft ${id ?? "new"}`;

/** Show what was written for a conversation and not sent; null for a new one. */
export function open(id) {
  draft = nameOf(id);
  box.value = kept(draft) ?? "";
  fit();
}

/** Empty the box: its text was sent. */
export function clear() {
  keep(draft, null);
  box.value = "";
  fit();
}

/** Say whether anything can be sent, and to which conversation: a new one gets an id. */
export function settle(id, isAllowed) {
  if (draft !== nameOf(id)) {
    keep(draft, null);
    draft = nameOf(id);
    keep(draft, box.value);
  }
  allowed = isAllowed;
  fit();
}

/** Focus the message box, or the messages where the box would open an on-screen keyboard. */
export function rest() {
  (matchMedia("(pointer: coarse)").matches ? scroller : box).focus();
}

/** Make the message box as high as its text, which not every browser can do in CSS. */
function fit() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  $("send").disabled = !allowed || !box.value.trim();
}

function submit(event) {
  event.preventDefault();
  send(box.value);
}

$("composer").addEventListener("submit", submit);
box.addEventListener("input", () => {
  keep(draft, box.value);
  fit();
});
box.addEventListener("keydown", (event) => {
  // While an input method composes a word, Enter accepts it; Safari shows it only by the key code.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  submit(event);
});
